import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { makeTxid, type Txid } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';
import type { ProblemException } from '#libs/service';
import { transactionView } from '../testing/transaction-view.js';
import { EventHub } from './event-hub.js';

const txid = (n: number): Txid => makeTxid(0, 1_700_000_000_000 + n, new Uint8Array(8));
const view = (n: number, padding = ''): TransactionView =>
  transactionView({ txid: txid(n), status: 'committed', decision: 'COMMIT', decidedAtMs: 1, metadata: padding });

let hub: EventHub;
let server: http.Server;
let dropped = 0;
const logged: string[] = [];
const sockets = new Set<Socket>();

beforeEach(async () => {
  dropped = 0;
  const logger = pino({ level: 'warn' }, { write: (line: string) => { logged.push(line); } });
  hub = new EventHub({ maxStreams: 2, maxBufferedBytes: 100_000, heartbeatMs: 20, logger, onDropped: () => { dropped++; } });
  server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' });
    hub.admit().attach(response, 'test');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A consumer; `read: false` never takes a byte from its socket. */
async function listen(read = true): Promise<{ text: () => string; socket: Socket }> {
  const before = hub.size;
  let text = '';
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  sockets.add(socket);
  if (read) socket.on('data', (bytes) => { text += bytes.toString(); });
  else socket.pause();
  socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => hub.size > before);
  return { text: () => text, socket };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('event streams', () => {
  it('carry every event to everybody, in order, each once', async () => {
    const [a, b] = [await listen(), await listen()];
    hub.publish('begun', view(1));
    hub.publish('decided', view(1));
    hub.publish('decided', view(1));
    hub.publish('finished', view(1));
    for (const consumer of [a, b]) {
      await until(() => consumer.text().includes('event: finished'));
      expect(consumer.text().match(/^event: \w+/gm)).toEqual(['event: begun', 'event: decided', 'event: finished']);
      expect(consumer.text()).toContain(`data: {"id":"${txid(1)}"`);
    }
  });

  it('beat while nothing happens', async () => {
    const { text } = await listen();
    await until(() => (text().match(/: heartbeat/g) ?? []).length >= 2);
  });

  it('are dropped, visibly, when the consumer does not keep up, and the others are not', async () => {
    const good = await listen();
    const bad = await listen(false);
    for (let n = 0; hub.size === 2; n++) {
      hub.publish('decided', view(n, 'x'.repeat(20_000)));
      // Lets the good consumer's socket be written.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([dropped, hub.size]).toEqual([1, 1]);
    expect(logged.at(-1)).toContain('does not keep up');
    let rest = '';
    bad.socket.on('data', (bytes) => { rest += bytes.toString(); }).resume();
    await once(bad.socket, 'close');
    expect(rest).toContain('event: dropped\ndata: {"code":"SLOW_CONSUMER"');
    hub.publish('finished', view(0));
    await until(() => good.text().includes('event: finished'));
  });

  it('beyond the limit are refused, and a consumer that leaves makes room', async () => {
    const { socket } = await listen();
    await listen();
    let problem: ProblemException | undefined;
    try { hub.admit(); } catch (error) { problem = error as ProblemException; }
    expect(problem?.problem).toMatchObject({ status: 503, code: 'TOO_MANY_STREAMS' });
    socket.destroy();
    await until(() => hub.size === 1);
    hub.admit();
  });

  it('end with a word when the server stops', async () => {
    const { text, socket } = await listen();
    const closed = once(socket, 'close');
    hub.stop();
    await until(() => text().includes('event: stopping'));
    await closed;
  });
});
