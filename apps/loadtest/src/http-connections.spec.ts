import { afterEach, describe, expect, it } from '@jest/globals';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { HttpConnections } from './http-connections.js';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => { await Promise.all(closing.splice(0).map((close) => close())); });

/** Hands each request to the test with the connection it came by. */
async function server(handle: (response: http.ServerResponse, connection: number, body: string) => void): Promise<string> {
  const connections: Socket[] = [];
  const listening = http.createServer((request, response) => {
    if (!connections.includes(request.socket)) connections.push(request.socket);
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
    request.on('end', () => handle(response, connections.indexOf(request.socket), body));
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => { listening.close(resolve); listening.closeAllConnections(); }));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

function connectionsTo(url: string, most: number): HttpConnections {
  const connections = new HttpConnections(url, most);
  closing.push(() => connections.close());
  return connections;
}

describe('connections to a server', () => {
  it('are reused, the one that became free last first', async () => {
    const url = await server((response, connection) => { response.end(String(connection)); });
    const connections = connectionsTo(url, 10);
    const post = async (): Promise<string> => (await connections.post('/', {}, '')).text;
    await Promise.all([post(), post(), post()]);
    const after = [await post(), await post(), await post()];
    expect(new Set(after).size).toBe(1);
  });

  it('are never more than allowed: the rest waits', async () => {
    const seen = new Set<number>();
    const url = await server((response, connection) => { seen.add(connection); response.end('{}'); });
    const connections = connectionsTo(url, 2);
    const answers = await Promise.all(Array.from({ length: 20 }, () => connections.post('/', {}, '')));
    expect(answers).toHaveLength(20);
    expect(seen.size).toBe(2);
  });

  it('give the body of a success as it comes, and of anything else as a text', async () => {
    const url = await server((response, _connection, body) => { response.writeHead(Number(body)).end('told ä'); });
    const connections = connectionsTo(url, 1);
    const chunks: Buffer[] = [];
    const onData = (chunk: Buffer): void => { chunks.push(chunk); };
    expect(await connections.post('/', {}, '200', onData)).toEqual({ status: 200, text: '' });
    expect(Buffer.concat(chunks).toString()).toBe('told ä');
    expect(await connections.post('/', {}, '503', onData)).toEqual({ status: 503, text: 'told ä' });
  });

  it('say of an answer that did not come whether the request was sent', async () => {
    const url = await server((response) => { response.destroy(); });
    await expect(connectionsTo(url, 1).post('/', {}, '')).rejects.toMatchObject({ sent: true });
    const port = new URL(url).port;
    await closing.shift()!();
    await expect(connectionsTo(`http://127.0.0.1:${port}`, 1).post('/', {}, '')).rejects.toMatchObject({ sent: false, code: 'ECONNREFUSED' });
  });
});
