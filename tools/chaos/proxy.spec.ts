import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import net from 'node:net';
import { once } from 'node:events';
import { choosePort } from '../stack/ports.js';
import { TcpProxy } from './proxy.js';

let server: net.Server;
let proxy: TcpProxy;
/** Connections as the server sees them. */
let accepted: net.Socket[];
const sockets: net.Socket[] = [];

beforeEach(async () => {
  accepted = [];
  // An echo.
  server = net.createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.open(await choosePort(undefined), { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port });
});

afterEach(async () => {
  await proxy.close();
  for (const socket of [...sockets.splice(0), ...accepted]) socket.destroy();
  server.close();
});

async function connect(): Promise<net.Socket> {
  const socket = net.connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function answerTo(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  let got = '';
  while (got.length < text.length) got += String((await once(socket, 'data'))[0]);
  return got;
}

/** Resolves with what came within 100 ms. */
async function silenceOf(socket: net.Socket): Promise<string> {
  let got = '';
  const listen = (bytes: Buffer): void => { got += bytes.toString(); };
  socket.on('data', listen);
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.off('data', listen);
  return got;
}

describe('the proxy', () => {
  it('passes bytes in both directions, however many', async () => {
    const socket = await connect();
    const text = 'x'.repeat(3_000_000);
    expect(await answerTo(socket, text)).toBe(text);
  });

  it('passes the end of either side on', async () => {
    const socket = await connect();
    await answerTo(socket, 'hello');
    socket.end();
    await once(socket, 'close');
    expect(accepted[0]!.readableEnded).toBe(true);
  });

  it('passes a reset of the server on', async () => {
    const socket = await connect();
    await answerTo(socket, 'hello');
    const failed = once(socket, 'error');
    accepted[0]!.resetAndDestroy();
    await expect(failed).resolves.toMatchObject([{ code: 'ECONNRESET' }]);
  });

  it('cut: resets what is open, refuses what is new, and takes connections again afterwards', async () => {
    const socket = await connect();
    await answerTo(socket, 'hello');
    const failed = once(socket, 'error');
    await proxy.set({ kind: 'cut' });
    await expect(failed).resolves.toMatchObject([{ code: 'ECONNRESET' }]);
    await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await proxy.set({ kind: 'pass' });
    expect(await answerTo(await connect(), 'again')).toBe('again');
  });

  it('freeze: holds every byte back, also of new connections, and loses none', async () => {
    const before = await connect();
    await answerTo(before, 'hello');
    await proxy.set({ kind: 'freeze' });
    before.write('one');
    const during = await connect();
    during.write('two');
    expect(await Promise.all([silenceOf(before), silenceOf(during)])).toEqual(['', '']);
    const answers = [once(before, 'data'), once(during, 'data')];
    await proxy.set({ kind: 'pass' });
    expect((await Promise.all(answers)).map(([bytes]) => String(bytes))).toEqual(['one', 'two']);
  });

  it('freeze: the server does not learn that the client has died', async () => {
    const socket = await connect();
    await answerTo(socket, 'hello');
    await proxy.set({ kind: 'freeze' });
    socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(accepted[0]!.destroyed).toBe(false);
    const closed = new Promise((resolve) => accepted[0]!.once('close', resolve));
    await proxy.set({ kind: 'pass' });
    await closed;
  });

  it('delay: everything arrives later, in order', async () => {
    const socket = await connect();
    await proxy.set({ kind: 'delay', delayMs: 60 });
    const began = performance.now();
    const text = Array.from({ length: 200 }, (_, i) => `${i};`).join('');
    for (const part of text.split(/(?<=;)/)) socket.write(part);
    expect(await answerTo(socket, '')).toBe('');
    let got = '';
    while (got.length < text.length) got += String((await once(socket, 'data'))[0]);
    expect(got).toBe(text);
    expect(performance.now() - began).toBeGreaterThanOrEqual(115);
  });

  it('forgets connections that have ended', async () => {
    const socket = await connect();
    await answerTo(socket, 'hello');
    expect(proxy.open).toBe(1);
    socket.destroy();
    await once(accepted[0]!, 'close');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(proxy.open).toBe(0);
  });
});
