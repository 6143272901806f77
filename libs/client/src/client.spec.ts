import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { ConcordatClient } from './client.js';
import { ConcordatError } from './errors.js';
import { client, closeAll, committed, coordinator, dropped, json, type Reply, request, type Seen, silent, transaction, unreachableUrl } from './testing/fake-coordinator.js';
import type { TransactionRequest, UnknownOutcome } from './types.js';

afterEach(closeAll);

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
    const one = client({ url, connections: 3, gather: false });
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

describe('concurrent calls', () => {
  const lines = { 'content-type': 'application/x-ndjson' };
  const numbered = (n: number): TransactionRequest => ({ branches: [{ participant: 'payments', operation: 'debit', payload: { n } }] });
  const itemsOf = (seen: Seen): any[] => seen.body.transactions ?? [seen.body];
  const numberOf = (item: any): number => item.branches[0].payload.n;
  const line = (index: number, body: object): string => `${JSON.stringify({ index, ...body })}\n`;
  const answered = (item: any) => ({ transaction: transaction('committed', { id: `tx-${numberOf(item)}` }) });
  const problem = (status: number, fields: object) => ({ problem: { status, title: 'No', ...fields } });

  /** Answers each item by its own answer; a single request as a coordinator would. */
  const byItem = (answer: (item: any) => object | null): Reply => (response, seen) => {
    if (seen.path === '/v1/transactions') return json(200, (answer(seen.body) as any).transaction)(response, seen);
    response.writeHead(200, lines);
    itemsOf(seen).map((item, i) => [i, answer(item)] as const).reverse().forEach(([i, body]) => { if (body !== null) response.write(line(i, body)); });
    response.end();
  };
  /** Answers the items that have an answer, then breaks the connection. */
  const breaksAfter = (answer: (item: any) => object | null): Reply => (response, seen) => {
    response.writeHead(200, lines);
    itemsOf(seen).forEach((item, i) => { const body = answer(item); if (body !== null) response.write(line(i, body)); });
    response.write('{"index":');
    setTimeout(() => response.destroy(), 20);
  };
  const runAll = (one: ConcordatClient, count: number, options = {}) => Promise.allSettled(Array.from({ length: count }, (_, n) => one.run(numbered(n), options)));
  const valuesOf = (results: readonly PromiseSettledResult<any>[]) => results.map((r) => (r.status === 'fulfilled' ? r.value : r.reason));

  it('travel in a few requests, each with its own key, and each gets the answer that is its own', async () => {
    const { url, seen } = await coordinator(byItem(answered));
    const results = valuesOf(await runAll(client({ url }), 64));
    expect(results.map((r) => r.id)).toEqual(results.map((_, n) => `tx-${n}`));
    expect(seen.length).toBeLessThanOrEqual(4);
    const keys = seen.flatMap((s) => itemsOf(s).map((item) => item.idempotencyKey));
    expect(new Set(keys).size).toBe(64);
    expect(keys.every((key) => /^[0-9a-f-]{36}$/.test(key))).toBe(true);
    expect(seen[0]).toMatchObject({ path: '/v1/transactions:batch', authorization: 'Bearer secret', prefer: expect.stringMatching(/^wait=(9|10)$/) });
  });

  it('gather while others are under way, for no longer than a few milliseconds', async () => {
    const { url, seen } = await coordinator((response, s) => { setTimeout(() => byItem(answered)(response, s), 300); });
    const one = client({ url });
    const first = runAll(one, 100);
    await new Promise((resolve) => setTimeout(resolve, 10));
    const beganMs = Date.now();
    const next = runAll(one, 10);
    while (seen.flatMap(itemsOf).length < 110) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(Date.now() - beganMs).toBeLessThan(200);
    await Promise.all([first, next]);
    expect(seen).toHaveLength(2);
  });

  it('wait for those under way to come back, and leave without a pause when all of them are here', async () => {
    const inHalves: Reply = (response, s) => {
      const texts = itemsOf(s).map((item, i) => line(i, answered(item)));
      response.writeHead(200, lines);
      response.write(texts.splice(0, 50).join(''));
      setTimeout(() => response.end(texts.join('')), 50);
    };
    const { url, seen } = await coordinator(inHalves);
    const setTimeoutOf = setTimeout;
    // A pause would never end.
    const paused = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((work: () => void, ms: number) => (ms === 5 ? undefined : setTimeoutOf(work, ms))) as never);
    try {
      const one = client({ url });
      const results = await Promise.all(Array.from({ length: 100 }, (_, n) => one.run(numbered(n)).then(() => one.run(numbered(100 + n)))));
      expect(results.map((r) => r.id)).toEqual(results.map((_, n) => `tx-${100 + n}`));
      expect(seen.map((s) => itemsOf(s).length)).toEqual([100, 100]);
      expect(paused.mock.calls.filter(([, ms]) => ms === 5)).toHaveLength(1);
    } finally {
      paused.mockRestore();
    }
  });

  it('that are alone leave at once, as an ordinary request', async () => {
    const { url, seen } = await coordinator(committed);
    const one = client({ url });
    await one.run(request);
    const running = one.run(request);
    await new Promise((resolve) => setImmediate(resolve));
    const beganMs = performance.now();
    await running;
    expect(performance.now() - beganMs).toBeLessThan(100);
    expect(seen.map((s) => s.path)).toEqual(['/v1/transactions', '/v1/transactions']);
  });

  it('are shared out over requests of 500 and of half a megabyte', async () => {
    const { url, seen } = await coordinator(byItem(answered));
    const one = client({ url });
    await runAll(one, 1_100);
    expect(seen.map((s) => itemsOf(s).length).sort()).toEqual([100, 500, 500]);
    const metadata = 'x'.repeat(200_000);
    await Promise.all([0, 1, 2, 3].map((n) => one.run({ ...numbered(n), metadata })));
    expect(seen.slice(3).map((s) => itemsOf(s).length)).toEqual([2, 2]);
  });

  it('stay apart where their patience differs', async () => {
    const { url, seen } = await coordinator(byItem(answered));
    const one = client({ url });
    await Promise.all([3_000, 20_000, 3_000, 20_000].map((waitMs, n) => one.run(numbered(n), { waitMs })));
    expect(seen.map((s) => [s.prefer, itemsOf(s).map(numberOf)])).toEqual(expect.arrayContaining([[expect.stringMatching(/^wait=[23]$/), [0, 2]], [expect.stringMatching(/^wait=(19|20)$/), [1, 3]]]));
  });

  it('are requests of their own with gather: false', async () => {
    const { url, seen } = await coordinator(byItem(answered));
    await runAll(client({ url, gather: false }), 20);
    expect(seen.map((s) => s.path)).toEqual(seen.map(() => '/v1/transactions'));
    expect(seen).toHaveLength(20);
  });

  it('are refused one by one, each with the error that is its own', async () => {
    const { url, seen } = await coordinator(byItem((item) => (numberOf(item) % 2 === 0 ? answered(item) : problem(422, { code: 'INVALID_PAYLOAD', errors: [{ path: `n${numberOf(item)}`, message: 'is odd' }] }))));
    const results = await runAll(client({ url }), 4);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(valuesOf(results)).toMatchObject([{ id: 'tx-0' }, { code: 'INVALID_PAYLOAD', status: 422, errors: [{ path: 'n1' }] }, { id: 'tx-2' }, { errors: [{ path: 'n3' }] }]);
    expect(seen).toHaveLength(1);
  });

  it('tell an abort as a result', async () => {
    const { url } = await coordinator(byItem((item) => ({ transaction: transaction(numberOf(item) === 1 ? 'aborted' : 'committed', { reason: numberOf(item) === 1 ? { code: 'OUT_OF_STOCK' } : null }) })));
    expect(valuesOf(await runAll(client({ url }), 2))).toMatchObject([{ outcome: 'committed', reason: null }, { outcome: 'aborted', reason: { code: 'OUT_OF_STOCK' } }]);
  });

  it('whose answer breaks off are unknown where there was no line, and sent again only when somebody waits', async () => {
    const { url, seen } = await coordinator(breaksAfter((item) => (numberOf(item) < 3 ? answered(item) : null)), byItem(answered));
    const one = client({ url });
    const results = valuesOf(await runAll(one, 6));
    expect(results.map((r) => r.outcome)).toEqual(['committed', 'committed', 'committed', 'unknown', 'unknown', 'unknown']);
    expect(results[4]).toMatchObject({ id: null, idempotencyKey: expect.any(String), request: numbered(4), cause: { code: 'ANSWER_LOST' } });
    expect(seen).toHaveLength(1);
    expect(await one.wait(results[4])).toMatchObject({ outcome: 'committed', id: 'tx-4' });
    expect(seen[1]!.key).toBe(itemsOf(seen[0]!)[4].idempotencyKey);
  });

  it('are unknown where a well-ended answer lacks their line, or it cannot be read', async () => {
    const { url } = await coordinator((response) => { response.writeHead(200, lines).end(`${line(0, answered(numbered(0)))}nonsense\n${line(7, answered(numbered(1)))}`); });
    expect(valuesOf(await runAll(client({ url }), 2))).toMatchObject([{ outcome: 'committed' }, { outcome: 'unknown', cause: { code: 'ANSWER_LOST' } }]);
  });

  it.each([['a 500', json(500, { code: 'INTERNAL' })], ['a reset', dropped], ['silence', silent], ['an answer that is not in lines', committed]])('are all unknown after %s', async (_name, reply) => {
    const { url, seen } = await coordinator(reply);
    const results = valuesOf(await runAll(client({ url }), 3, { waitMs: 1_100 }));
    expect(results.map((r) => r.outcome)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(seen).toHaveLength(1);
  });

  it('are unknown one by one where the coordinator cannot tell how an item stands', async () => {
    const { url } = await coordinator(byItem((item) => (numberOf(item) === 0 ? answered(item) : problem(504, { code: 'OUTCOME_UNKNOWN' }))));
    expect(valuesOf(await runAll(client({ url }), 2))).toMatchObject([{ outcome: 'committed' }, { outcome: 'unknown', cause: { code: 'OUTCOME_UNKNOWN' } }]);
  });

  it.each([[429, 'OVERLOADED'], [503, 'NO_SHARD']])('are all certainly not taken after a %d, and each is told when to come back', async (status, code) => {
    const { url, seen } = await coordinator(json(status, { code }, { 'retry-after': '30' }));
    const results = await runAll(client({ url }), 3);
    expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(valuesOf(results)).toMatchObject(results.map(() => ({ status, code, retryAfterMs: 30_000 })));
    expect(seen).toHaveLength(1);
  });

  it('are all refused with the 401 that their request got', async () => {
    const { url } = await coordinator(json(401, { code: 'UNAUTHENTICATED' }));
    expect(valuesOf(await runAll(client({ url }), 3))).toMatchObject([1, 2, 3].map(() => ({ status: 401, code: 'UNAUTHENTICATED' })));
  });

  it('are all certainly not taken where nobody listens', async () => {
    const results = await runAll(client({ url: await unreachableUrl() }), 3, { waitMs: 1_200 });
    expect(valuesOf(results)).toMatchObject(results.map(() => ({ code: 'COORDINATOR_UNREACHABLE', status: 0 })));
  });

  it('that a coordinator refuses for now, by item, come back after the time that it named', async () => {
    let refusals = 0;
    const { url, seen } = await coordinator(byItem((item) => (numberOf(item) === 1 && refusals++ === 0 ? problem(429, { code: 'OVERLOADED', retryAfter: 1 }) : answered(item))));
    const beganMs = Date.now();
    expect(valuesOf(await runAll(client({ url }), 3)).map((r) => r.id)).toEqual(['tx-0', 'tx-1', 'tx-2']);
    expect(Date.now() - beganMs).toBeGreaterThanOrEqual(990);
    expect(seen[1]!.key).toBe(itemsOf(seen[0]!)[1].idempotencyKey);
  });

  it.each([400, 413])('are sent alone after a %d, so that the fault of one is not the fault of all', async (status) => {
    const { url, seen } = await coordinator((response, s) => {
      const reply = s.path.endsWith(':batch') || numberOf(s.body) === 1 ? json(status, { code: 'MALFORMED' }) : byItem(answered);
      reply(response, s);
    });
    expect(valuesOf(await runAll(client({ url }), 3))).toMatchObject([{ id: 'tx-0' }, { status, code: 'MALFORMED' }, { id: 'tx-2' }]);
    expect(seen).toHaveLength(4);
  });

  it('keep asking for one that is pending, with its key, until its own time is up', async () => {
    const pending = { transaction: transaction('pending', { id: 'tx-1' }) };
    const { url, seen } = await coordinator(byItem((item) => (numberOf(item) === 1 ? pending : answered(item))));
    const one = client({ url });
    const beganMs = Date.now();
    expect(valuesOf(await runAll(one, 2, { waitMs: 1_300 }))).toMatchObject([{ outcome: 'committed' }, { outcome: 'unknown', id: 'tx-1', cause: { code: 'STILL_PENDING' } }]);
    expect(Date.now() - beganMs).toBeLessThan(2_000);
    expect(new Set(seen.slice(1).map((s) => s.key))).toEqual(new Set([itemsOf(seen[0]!)[1].idempotencyKey]));
  });

  it('with waitFor finished are not over while they are only decided', async () => {
    let asked = 0;
    const { url } = await coordinator(byItem(() => ({ transaction: transaction('committed', { finishedAt: asked++ < 2 ? null : 'now' }) })));
    const one = client({ url });
    const results = await Promise.all([0, 1].map((n) => one.run({ ...numbered(n), waitFor: 'finished' })));
    expect(results).toMatchObject([{ outcome: 'committed', transaction: { finishedAt: 'now' } }, { outcome: 'committed', transaction: { finishedAt: 'now' } }]);
  });

  it('whose token cannot be had fail with what went wrong', async () => {
    const { url } = await coordinator(committed);
    const one = client({ url, token: () => { throw new Error('no token'); } });
    expect(valuesOf(await runAll(one, 2)).map((e) => e.message)).toEqual(['no token', 'no token']);
    await expect(one.run(request)).rejects.toThrow('no token');
  });

  it('are shared out over coordinators, and pass over one that is stopping', async () => {
    const stopping = await coordinator(json(503, { code: 'SHUTTING_DOWN' }, { 'retry-after': '1' }));
    const alive = await coordinator(byItem(answered));
    const results = valuesOf(await runAll(client({ urls: [stopping.url, alive.url] }), 40));
    expect(results.map((r) => r.id)).toEqual(results.map((_, n) => `tx-${n}`));
    expect(stopping.seen).toHaveLength(1);
  });
});

describe('batch', () => {
  it('tells an item of which nothing is known as unknown, and when a refused one can be sent again', async () => {
    const { url } = await coordinator(json(200, { transactions: [{ status: 500, code: 'INTERNAL' }, { status: 504, code: 'OUTCOME_UNKNOWN' }, { status: 429, code: 'OVERLOADED', retryAfter: 3 }] }));
    const results = await client({ url }).batch([request, request, request], { idempotencyKey: 'b' });
    expect(results.slice(0, 2)).toMatchObject([{ outcome: 'unknown', idempotencyKey: 'b:0', cause: { code: 'INTERNAL' } }, { outcome: 'unknown', cause: { code: 'OUTCOME_UNKNOWN' } }]);
    expect(results[2]).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 3_000 });
  });

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
