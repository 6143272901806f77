// A TCP proxy whose connections can be made to fail in the ways of a network.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * pass    bytes go through
 * cut     every connection is reset, new ones are refused
 * freeze  new connections are accepted, and nothing goes through: no byte, no end, no reset
 * delay   every byte arrives `delayMs` later, in order
 */
export type ProxyMode = { readonly kind: 'pass' | 'cut' | 'freeze' } | { readonly kind: 'delay'; readonly delayMs: number };

/** One process's way to one server. */
export class TcpProxy {
  readonly port: number;
  private readonly target: { readonly host: string; readonly port: number };
  private readonly connections = new Set<Connection>();
  private server: net.Server | null = null;
  private mode: ProxyMode = { kind: 'pass' };
  private closed = false;

  private constructor(port: number, target: TcpProxy['target']) {
    this.port = port;
    this.target = target;
  }

  /** Listens on 127.0.0.1. */
  static async open(port: number, target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(port, target);
    await proxy.listen();
    return proxy;
  }

  get current(): ProxyMode {
    return this.mode;
  }

  get open(): number {
    return this.connections.size;
  }

  async set(mode: ProxyMode): Promise<void> {
    this.mode = mode;
    if (mode.kind === 'cut') {
      await this.refuse();
      for (const connection of this.connections) connection.reset();
      return;
    }
    await this.listen();
    for (const connection of this.connections) connection.apply(mode);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.refuse();
    for (const connection of this.connections) connection.reset();
  }

  private async listen(): Promise<void> {
    // For a moment the port may be the source port of somebody's connection.
    for (const deadline = Date.now() + 10_000; this.server === null && !this.closed;) {
      const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => this.accept(client));
      try {
        await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
        server.on('error', () => undefined);
        this.server = server;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  private async refuse(): Promise<void> {
    const server = this.server;
    this.server = null;
    if (server === null) return;
    // Resolves only when the last connection has ended; it stops listening at once.
    server.close();
    await sleep(0);
  }

  private accept(client: net.Socket): void {
    if (this.mode.kind === 'cut' || this.closed) return void client.resetAndDestroy();
    const upstream = net.connect({ ...this.target, allowHalfOpen: true });
    const connection = new Connection(client, upstream, () => this.connections.delete(connection));
    this.connections.add(connection);
    connection.apply(this.mode);
  }
}

/** Two sockets, and what is on its way between them in either direction. */
class Connection {
  private readonly client: net.Socket;
  private readonly upstream: net.Socket;
  private readonly directions: readonly [Direction, Direction];
  private readonly onGone: () => void;
  private mode: ProxyMode = { kind: 'pass' };
  /** A reset that came while frozen, to be passed on later. */
  private broken = false;
  private gone = false;

  constructor(client: net.Socket, upstream: net.Socket, onGone: () => void) {
    this.client = client;
    this.upstream = upstream;
    this.onGone = onGone;
    this.directions = [new Direction(client, upstream), new Direction(upstream, client)];
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.lost());
      socket.on('close', (hadError) => { if (hadError || this.bothEnded()) this.lost(); });
    }
  }

  apply(mode: ProxyMode): void {
    this.mode = mode;
    if (mode.kind !== 'freeze' && this.broken) return this.reset();
    for (const direction of this.directions) direction.apply(mode);
  }

  reset(): void {
    if (this.gone) return;
    this.gone = true;
    for (const direction of this.directions) direction.stop();
    for (const socket of [this.client, this.upstream]) {
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.onGone();
  }

  private lost(): void {
    if (this.mode.kind === 'freeze') this.broken = true;
    else this.reset();
  }

  private bothEnded(): boolean {
    return this.directions.every((direction) => direction.ended);
  }
}

interface Chunk {
  /** Null: the end of the stream. */
  readonly bytes: Buffer | null;
  readonly atMs: number;
}

class Direction {
  /** The end has been passed on. */
  ended = false;
  private readonly from: net.Socket;
  private readonly to: net.Socket;
  private readonly waiting: Chunk[] = [];
  private mode: ProxyMode = { kind: 'pass' };
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private full = false;

  constructor(from: net.Socket, to: net.Socket) {
    this.from = from;
    this.to = to;
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => this.take(null));
    to.on('drain', () => {
      this.full = false;
      this.flow();
    });
  }

  apply(mode: ProxyMode): void {
    this.mode = mode;
    this.flow();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private take(bytes: Buffer | null): void {
    this.waiting.push({ bytes, atMs: performance.now() });
    this.flow();
  }

  /** Passes on what is due, and reads on unless nothing may or can be passed on. */
  private flow(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.stopped) return;
    if (this.mode.kind === 'freeze') return void this.from.pause();
    const delayMs = this.mode.kind === 'delay' ? this.mode.delayMs : 0;
    while (this.waiting.length > 0 && !this.full) {
      const left = this.waiting[0]!.atMs + delayMs - performance.now();
      if (left > 0) {
        this.timer = setTimeout(() => this.flow(), Math.ceil(left));
        break;
      }
      this.pass(this.waiting.shift()!.bytes);
    }
    if (this.full) this.from.pause();
    else this.from.resume();
  }

  private pass(bytes: Buffer | null): void {
    if (bytes === null) {
      this.ended = true;
      if (this.to.writable) this.to.end();
    } else if (this.to.writable) {
      this.full = !this.to.write(bytes);
    }
  }
}
