import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConcordatClient, type ClientOptions } from '../client.js';
import type { TransactionRequest } from '../types.js';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly key: string | undefined;
  readonly prefer: string | undefined;
  readonly authorization: string | undefined;
  readonly body: any;
}

export type Reply = (response: http.ServerResponse, seen: Seen) => void;

const opened: { close(): Promise<unknown> }[] = [];
/** To be called after each test. */
export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((o) => o.close()));
}

/** A real HTTP server that answers the n-th request by the n-th reply, and every later one by the last. */
export async function coordinator(...replies: Reply[]): Promise<{ url: string; seen: Seen[]; connections: () => number }> {
  const seen: Seen[] = [];
  let connections = 0;
  const server = http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    request.on('end', () => {
      const { 'idempotency-key': key, prefer, authorization } = request.headers;
      const entry = { method: request.method!, path: request.url!, key: key as string | undefined, prefer: prefer as string | undefined, authorization, body: text === '' ? null : JSON.parse(text) };
      seen.push(entry);
      replies[Math.min(seen.length, replies.length) - 1]!(response, entry);
    });
  }).on('connection', () => { connections++; });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push({ close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, connections: () => connections };
}

export function client(options: ClientOptions): ConcordatClient {
  const made = new ConcordatClient({ token: 'secret', ...options });
  opened.push(made);
  return made;
}

export const json = (status: number, body: unknown, headers: Record<string, string> = {}): Reply => (response) => {
  response.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers }).end(JSON.stringify(body));
};
export const transaction = (status: string, fields: object = {}) => ({ id: 'tx-1', protocol: '2pc', status, reason: null, branches: [], createdAt: '', decidedAt: null, finishedAt: null, ...fields });
export const committed = json(200, transaction('committed'));
export const dropped: Reply = (response) => { response.destroy(); };
export const silent: Reply = () => undefined;
export const unreachableUrl = async (): Promise<string> => {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
};
export const request: TransactionRequest = { branches: [{ participant: 'payments', operation: 'debit', payload: { amountCents: 1 } }] };
