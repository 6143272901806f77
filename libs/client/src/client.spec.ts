import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ConcordatClient, type ClientOptions } from './client.js';
import { ConcordatError } from './errors.js';
import type { TransactionRequest, UnknownOutcome } from './types.js';

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly key: string | undefined;
  readonly prefer: string | undefined;
  readonly authorization: string | undefined;
  readonly body: any;
}

type Reply = (response: http.ServerResponse, seen: Seen) => void;

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => { await Promise.all(opened.splice(0).map((o) => o.close())); });

/** A real HTTP server that answers the n-th request by the n-th reply, and every later one by the last. */
async function coordinator(...replies: Reply[]): Promise<{ url: string; seen: Seen[]; connections: () => number }> {
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

function client(options: ClientOptions): ConcordatClient {
  const made = new ConcordatClient({ token: 'secret', ...options });
  opened.push(made);
  return made;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Reply => (response) => {
  response.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers }).end(JSON.stringify(body));
};
const transaction = (status: string, fields: object = {}) => ({ id: 'tx-1', protocol: '2pc', status, reason: null, branches: [], createdAt: '', decidedAt: null, finishedAt: null, ...fields });
const committed = json(200, transaction('committed'));
const dropped: Reply = (response) => { response.destroy(); };
const silent: Reply = () => undefined;
const unreachableUrl = async (): Promise<string> => {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
};
const request: TransactionRequest = { branches: [{ participant: 'payments', operation: 'debit', payload: { amountCents: 1 } }] };

describe('run', () => {
  it('tells a commit, having sent token, protocol, patience and a generated key', async () => {
    const { url, seen } = await coordinator(committed);
    expect(await client({ url }).run(request, { waitMs: 5_000 })).toMatchObject({ outcome: 'committed', id: 'tx-1', reason: null });
    expect(seen).toEqual([{ method: 'POST', path: '/v1/transactions', key: expect.stringMatching(/^[0-9a-f-]{36}$/), prefer: expect.stringMatching(/^wait=[45]$/), authorization: 'Bearer secret', body: { protocol: '2pc', ...request } }]);
  });

  it('tells an abort and its reason as a result, not as an error', async () => {
    const reason = { code: 'INSUFFICIENT_FUNDS', participant: 'payments' };
    const { url } = await coordinator(json(200, transaction('aborted', { reason })));
    expect(await client({ url }).run(request)).toMatchObject({ outcome: 'aborted', reason });
  });

  it('throws a problem with its code, status and fields', async () => {
    const { url } = await coordinator(json(422, { title: 'Invalid payload', status: 422, code: 'INVALID_PAYLOAD', errors: [{ path: 'branches[0].payload.amountCents', message: 'must be integer' }] }));
    const error = await client({ url }).run(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ConcordatError);
    expect(error).toMatchObject({ status: 422, code: 'INVALID_PAYLOAD', errors: [{ path: 'branches[0].payload.amountCents', message: 'must be integer' }] });
  });

  it('keeps asking with the same key while the transaction is pending', async () => {
    const { url, seen } = await coordinator(json(202, transaction('pending')), committed);
    expect(await client({ url }).run(request)).toMatchObject({ outcome: 'committed' });
    expect(seen).toHaveLength(2);
    expect(seen[1]!.key).toBe(seen[0]!.key);
  });

  it('is unknown, with the id, when the time is up and it is still pending', async () => {
    const { url } = await coordinator(json(202, transaction('pending')));
    expect(await client({ url }).run(request, { waitMs: 150 })).toMatchObject({ outcome: 'unknown', id: 'tx-1', cause: { code: 'STILL_PENDING' } });
  });

  it('keeps connections alive for the calls that follow', async () => {
    const { url, connections } = await coordinator(committed);
    const one = client({ url });
    for (let i = 0; i < 20; i++) await one.run(request);
    expect(connections()).toBeLessThanOrEqual(2);
  });

  it('opens no more connections than allowed', async () => {
    const { url, connections, seen } = await coordinator((response) => { setTimeout(() => committed(response, seen[0]!), 5); });
    const one = client({ url, connections: 3 });
    const results = await Promise.all(Array.from({ length: 30 }, () => one.run(request)));
    expect(results.every((r) => r.outcome === 'committed')).toBe(true);
    expect(connections()).toBe(3);
  });
});

describe('a lost answer', () => {
  it.each([['a connection reset', dropped], ['silence', silent], ['a 500', json(500, { title: 'Internal error', code: 'INTERNAL' })], ['a gateway that gave up', json(504, {})]])('after %s is an explicit unknown that holds what is needed to ask again', async (_name, reply) => {
    const { url, seen } = await coordinator(reply);
    const result = await client({ url }).run(request, { idempotencyKey: 'k-1', waitMs: 200 });
    expect(result).toMatchObject({ outcome: 'unknown', id: null, idempotencyKey: 'k-1', request, cause: expect.any(ConcordatError) });
    expect(seen).toHaveLength(1);
  });

  it('becomes certain by waiting, which repeats the same request under the same key', async () => {
    const { url, seen } = await coordinator(dropped, dropped, json(503, { code: 'NO_SHARD' }), json(200, transaction('aborted', { reason: { code: 'CANCELLED' } })));
    const one = client({ url });
    const unknown = await one.run(request) as UnknownOutcome;
    expect(await one.wait(unknown)).toMatchObject({ outcome: 'aborted', reason: { code: 'CANCELLED' } });
    expect(new Set(seen.map((s) => s.key)).size).toBe(1);
    expect(seen.map((s) => s.body)).toEqual(seen.map(() => ({ protocol: '2pc', ...request })));
  });

  it('stays unknown while coordinators only answer 503, since that says nothing about the first attempt', async () => {
    const { url } = await coordinator(dropped, json(503, { code: 'STORE_UNAVAILABLE' }, { 'retry-after': '60' }));
    const one = client({ url });
    const unknown = await one.run(request, { waitMs: 300 }) as UnknownOutcome;
    expect(await one.wait(unknown, { waitMs: 300 })).toMatchObject({ outcome: 'unknown', idempotencyKey: unknown.idempotencyKey, request, cause: { code: 'STORE_UNAVAILABLE' } });
  });

  it('can be asked about by id with a long poll', async () => {
    const { url, seen } = await coordinator(json(202, transaction('pending')), committed);
    expect(await client({ url }).wait('tx-1', { waitMs: 3_000 })).toMatchObject({ outcome: 'committed' });
    expect(seen[0]).toMatchObject({ method: 'GET', path: expect.stringMatching(/^\/v1\/transactions\/tx-1\?wait=[23]$/) });
  });
});

describe('a coordinator that cannot take a request now', () => {
  it.each([429, 503])('answering %d is asked again after the time that it named', async (status) => {
    const { url, seen } = await coordinator(json(status, { code: 'OVERLOADED' }, { 'retry-after': '1' }), committed);
    const beganMs = Date.now();
    expect(await client({ url }).run(request)).toMatchObject({ outcome: 'committed' });
    expect(Date.now() - beganMs).toBeGreaterThanOrEqual(990);
    expect(seen[1]!.key).toBe(seen[0]!.key);
  });

  it('is not asked again if its Retry-After is beyond the time of the caller', async () => {
    const { url, seen } = await coordinator(json(503, { code: 'NO_SHARD', title: 'No shard' }, { 'retry-after': '30' }), committed);
    await expect(client({ url }).run(request, { waitMs: 1_000 })).rejects.toMatchObject({ status: 503, code: 'NO_SHARD', retryAfterMs: 30_000 });
    expect(seen).toHaveLength(1);
  });

  it('is passed over for another one at once', async () => {
    const busy = await coordinator(json(503, { code: 'SHUTTING_DOWN' }, { 'retry-after': '30' }));
    const free = await coordinator(committed);
    const one = client({ urls: [busy.url, free.url] });
    for (let i = 0; i < 4; i++) expect(await one.run(request, { waitMs: 1_000 })).toMatchObject({ outcome: 'committed' });
    expect(busy.seen.length).toBeLessThanOrEqual(1);
  });

  it('is passed over when it cannot be connected to, which is not a lost answer', async () => {
    const alive = await coordinator(committed);
    const one = client({ urls: [await unreachableUrl(), alive.url] });
    for (let i = 0; i < 4; i++) expect(await one.run(request)).toMatchObject({ outcome: 'committed' });
    expect(alive.seen).toHaveLength(4);
  });

  it('throws COORDINATOR_UNREACHABLE when none could be connected to in time', async () => {
    await expect(client({ url: await unreachableUrl() }).run(request, { waitMs: 200 })).rejects.toMatchObject({ code: 'COORDINATOR_UNREACHABLE', status: 0 });
  });

  it('gets its share of the requests when all are well', async () => {
    const two = [await coordinator(committed), await coordinator(committed)];
    const one = client({ urls: two.map((c) => c.url) });
    for (let i = 0; i < 6; i++) await one.run(request);
    expect(two.map((c) => c.seen.length)).toEqual([3, 3]);
  });
});

describe('submit', () => {
  it('gives the id without waiting', async () => {
    const { url, seen } = await coordinator(json(202, transaction('pending')));
    expect(await client({ url }).submit(request, { idempotencyKey: 'k-2' })).toEqual({ id: 'tx-1', idempotencyKey: 'k-2' });
    expect(seen[0]!.prefer).toBe('respond-async');
  });

  it('repeats itself under one key when an answer is lost', async () => {
    const { url, seen } = await coordinator(dropped, json(202, transaction('pending')));
    expect(await client({ url }).submit(request)).toMatchObject({ id: 'tx-1' });
    expect(seen[1]!.key).toBe(seen[0]!.key);
  });
});

describe('batch', () => {
  it('answers in the order asked, with a refused item as an error in its place', async () => {
    const { url, seen } = await coordinator(json(200, { transactions: [transaction('committed'), { status: 422, code: 'UNKNOWN_OPERATION', title: 'Unknown operation' }, transaction('pending', { id: 'tx-3' })] }));
    const results = await client({ url }).batch([request, request, request], { idempotencyKey: 'b' });
    expect(results).toMatchObject([{ outcome: 'committed' }, { status: 422, code: 'UNKNOWN_OPERATION' }, { outcome: 'unknown', id: 'tx-3', idempotencyKey: 'b:2' }]);
    expect(results[1]).toBeInstanceOf(ConcordatError);
    expect(seen[0]!.body.transactions.map((t: any) => t.idempotencyKey)).toEqual(['b:0', 'b:1', 'b:2']);
  });

  it('is unknown item by item when its answer was lost', async () => {
    const { url } = await coordinator(dropped, committed);
    const one = client({ url });
    const results = await one.batch([request, request], { idempotencyKey: randomUUID() });
    expect(results.map((r) => (r as UnknownOutcome).outcome)).toEqual(['unknown', 'unknown']);
    expect(await one.wait(results[1] as UnknownOutcome)).toMatchObject({ outcome: 'committed' });
  });
});

it('refuses to be made without any coordinator', () => {
  expect(() => new ConcordatClient({ token: 't' })).toThrow(/at least one coordinator/);
});
