import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startCoordinator } from '../../apps/coordinator/src/app.js';
import { ConcordatClient } from '#libs/client';
import { MemoryTransport } from '#libs/kafka';
import type { Envelope, Json, Message } from '#libs/protocol';
import type { RunningApp } from '#libs/service';
import { eventually } from '../support/eventually.js';
import { expectProblem, paths } from '../support/problem.js';
import { freshDatabase } from '../support/store.js';

// The coordinator's edge over a real database, with a participant that does what the test says. No broker, no other process.

/** A way to the database that can be blocked without a word, as a stopped server or a lost route does. */
class Way {
  private readonly sockets = new Set<net.Socket>();
  private blocked = false;
  private constructor(private readonly server: net.Server, readonly port: number) {}

  static async to({ hostname, port }: URL): Promise<Way> {
    const server = net.createServer((near) => {
      const far = net.connect(Number(port), hostname);
      for (const [from, to] of [[near, far], [far, near]] as const) {
        way.sockets.add(from);
        from.on('data', (bytes) => to.write(bytes)).on('close', () => { way.sockets.delete(from); to.destroy(); }).on('error', () => to.destroy());
        if (way.blocked) from.pause();
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const way = new Way(server, (server.address() as AddressInfo).port);
    return way;
  }

  block(): void {
    this.blocked = true;
    for (const socket of this.sockets) socket.pause();
  }

  open(): void {
    this.blocked = false;
    for (const socket of this.sockets) socket.resume();
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

let way: Way;
let bus: MemoryTransport;
let app: RunningApp;
let client: ConcordatClient;
let webhook: http.Server;
let refuseHooks = true;
const hooks: { headers: http.IncomingHttpHeaders; body: any }[] = [];
/** What the participant answers to an EXECUTE, by operation; null: nothing. */
const answers: Record<string, (execute: { txid: string; branch: number; step: string }) => object | null> = {
  reserve: () => ({ kind: 'EXECUTED', result: { ok: true } }),
  debit: () => ({ kind: 'EXECUTED', result: null }),
  refuse: () => ({ kind: 'REFUSED', reason: { code: 'INSUFFICIENT_FUNDS' } }),
  silent: () => null,
};

beforeAll(async () => {
  const url = new URL(await freshDatabase('coordinator'));
  way = await Way.to(url);
  url.port = String(way.port);
  webhook = http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    request.on('end', () => {
      hooks.push({ headers: request.headers, body: JSON.parse(text) });
      response.writeHead(refuseHooks ? 503 : 204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  bus = new MemoryTransport({ coordinatorShards: 2, participantPartitions: 2 });
  app = await startCoordinator({
    COORDINATOR_DATABASE_URL: url.href, COORDINATOR_PORT: '0', CONCORDAT_AUTH: 'off', LOG_LEVEL: 'fatal', ACCEPTORS: 'shop', MAX_IN_FLIGHT: '40', MAX_IN_FLIGHT_PER_PARTICIPANT: '20',
    WEBHOOK_URL: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/`, WEBHOOK_SECRET: 'correct horse battery staple', HOUSEKEEPING_SECONDS: '1',
  }, { transport: bus });
  await bus.subscribe({ role: 'participant', name: 'shop' }, {
    assigned: async () => undefined,
    deliver: async ({ messages, done }) => { await bus.send(messages.flatMap(answer)); done(); },
  });
  await announce('shop', { reserve: ['compensatable'], debit: ['pivot', 'retriable'], refuse: ['compensatable', 'pivot'], silent: ['compensatable', 'pivot', 'retriable'] });
  client = new ConcordatClient({ url: app.url! });
  await eventually('the shop is known', async () => expect((await call('GET', '/v1/participants')).body).toMatchObject({ participants: [{ name: 'shop', acceptor: true }] }), 20_000);
}, 60_000);

afterAll(async () => {
  way?.open();
  await client?.close();
  await app?.close();
  await bus?.close();
  webhook?.close();
  way?.close();
}, 30_000);

function answer(message: Message): Envelope[] {
  if (!('protocol' in message) || message.protocol !== 'saga') return [];
  const { txid, branch, step } = message;
  const said = message.kind === 'EXECUTE' ? answers[message.operation]!(message) : message.kind === 'COMPENSATE' ? { kind: 'COMPENSATED' } : null;
  return said === null ? [] : [{ to: { role: 'coordinator' }, message: { protocol: 'saga', txid, branch, step, ...said } as Message }];
}

async function announce(participant: string, operations: Readonly<Record<string, readonly ('compensatable' | 'pivot' | 'retriable')[]>>): Promise<void> {
  const offered = Object.entries(operations).map(([name, stepKinds]) => ({ name, uses: ['step'] as const, stepKinds, payloadSchema: { type: 'object' } as Json }));
  await bus.send([{ to: { role: 'coordinator' }, message: { kind: 'ANNOUNCE', participant, instance: 'shop-1', version: '1', acceptor: true, operations: offered } }]);
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: any; headers: Headers }> {
  const response = await fetch(app.url + path, { method, headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

const step = (id: string, operation: string, over: object = {}) => ({ id, participant: 'shop', operation, payload: {}, ...over });
const saga = (...steps: object[]) => ({ protocol: 'saga', steps });
const submit = (body: unknown, headers: Record<string, string> = {}) => call('POST', '/v1/transactions', body, headers);

describe('a saga through the API', () => {
  it('completes, and shows its steps', async () => {
    const { status, body } = await submit(saga(step('reserve', 'reserve'), step('debit', 'debit', { kind: 'pivot' })));
    expect([status, body.status, body.decision, body.finishedAt]).toEqual([200, 'completed', 'COMMIT', expect.any(String)]);
    expect(body.branches).toMatchObject([{ id: 'reserve', kind: 'compensatable', state: 'done', result: { ok: true } }, { id: 'debit', kind: 'pivot', state: 'done', after: ['reserve'] }]);
    const list = await call('GET', '/v1/transactions?status=completed&protocol=saga');
    expect(list.body.items.map((item: any) => item.id)).toContain(body.id);
    const { body: timeline } = await call('GET', `/v1/transactions/${body.id}/timeline`);
    expect(timeline.events.map((event: any) => event.name)).toEqual(expect.arrayContaining(['BEGIN', 'EXECUTE', 'EXECUTED', 'END']));
  });

  it('is compensated with the reason of the step that refused', async () => {
    const { body } = await submit(saga(step('reserve', 'reserve'), step('debit', 'refuse', { kind: 'pivot' })));
    expect(body).toMatchObject({ status: 'compensated', decision: 'ABORT', reason: { code: 'INSUFFICIENT_FUNDS', participant: 'shop' } });
    const reasons = await call('GET', '/v1/transactions?status=compensated&reason=INSUFFICIENT_FUNDS');
    expect(reasons.body.items.map((item: any) => item.id)).toContain(body.id);
  });

  it('is one transaction for one key, whatever its defaults', async () => {
    const body = saga(step('reserve', 'reserve'));
    const key = { 'idempotency-key': randomUUID() };
    const [first, second] = [await submit(body, key), await submit(body, key)];
    expect(second.body.id).toBe(first.body.id);
    expectProblem(await submit(saga(step('reserve', 'reserve', { kind: 'compensatable' })), key), 422, 'IDEMPOTENCY_KEY_REUSED');
  });

  it('is run by the SDK', async () => {
    expect(await client.saga({ steps: [step('reserve', 'reserve')] })).toMatchObject({ outcome: 'completed' });
    expect(await client.saga({ steps: [step('reserve', 'refuse')] })).toMatchObject({ outcome: 'compensated', reason: { code: 'INSUFFICIENT_FUNDS' } });
  });

  it('that cannot be is refused by the field', async () => {
    const problem = await submit(saga(step('debit', 'debit', { kind: 'pivot' }), step('reserve', 'reserve')));
    expectProblem(problem, 422, 'INVALID_SAGA');
    expect(problem.body.errors).toMatchObject([{ path: 'steps[1]', code: 'COMPENSATABLE_AFTER_PIVOT' }]);
    const kind = await submit(saga(step('debit', 'debit')));
    expectProblem(kind, 422, 'UNSUITABLE_OPERATION');
    expect(paths(kind)).toEqual(['steps[0].kind']);
    expectProblem(await submit({ protocol: '2pc', branches: [{ participant: 'shop', operation: 'debit', payload: {} }] }), 422, 'UNSUITABLE_OPERATION');
  });

  it('is counted by protocol and outcome', async () => {
    const { body } = await call('GET', '/v1/stats');
    expect(body.byProtocol.saga).toMatchObject({ begun: expect.any(Number), completed: expect.any(Number), compensated: expect.any(Number) });
    expect(body.byProtocol.saga.completed).toBeGreaterThan(0);
    expect(body.open).toMatchObject({ saga: { unfinished: expect.any(Number) } });
    await eventually('somebody has kept house', async () => expect((await call('GET', '/v1/stats')).body.housekeeping).toMatchObject({ at: expect.any(String) }), 10_000);
  });
});

describe('a saga that needs a person', () => {
  let id: string;

  it('says so, to whoever asks and to the webhook, until that has heard it', async () => {
    const accepted = await submit({ ...saga(step('reserve', 'reserve'), step('confirm', 'silent', { kind: 'retriable', timeoutMs: 50, retry: { firstMs: 20, maxMs: 50 } })), waitFor: 'decided' });
    expect(accepted).toMatchObject({ status: 200, body: { status: 'running', decision: 'COMMIT' } });
    ({ id } = accepted.body);
    await eventually('it needs attention', async () => expect((await call('GET', `/v1/transactions/${id}`)).body).toMatchObject({ status: 'needs-attention', attention: { step: 'confirm' } }), 10_000);
    expect((await call('GET', '/v1/transactions?status=needs-attention')).body.items.map((item: any) => item.id)).toEqual([id]);
    await eventually('the webhook is asked', async () => expect(hooks.length).toBeGreaterThan(0), 10_000);
    refuseHooks = false;
    await eventually('the webhook is asked again', async () => expect(hooks.length).toBeGreaterThan(1), 15_000);
    expect(new Set(hooks.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([`attention_${id}`]));
    expect(hooks[0]!.body).toMatchObject({ type: 'transaction.needs-attention', data: { id, step: 'confirm', reason: { code: expect.any(String) } } });
    const metrics = await (await fetch(`${app.url}/metrics`)).text();
    expect(metrics).toMatch(/concordat_webhook_deliveries_total\{result="delivered"\} 1/);
  }, 40_000);

  it('takes what makes sense, and keeps account of it', async () => {
    const act = (body: object) => call('POST', `/v1/transactions/${id}/actions`, body);
    expectProblem(await act({ action: 'cancel' }), 409, 'ALREADY_DECIDED');
    expectProblem(await act({ action: 'skip-step', step: 'confirm' }), 400);
    expectProblem(await act({ action: 'skip-step', step: 'reserve', comment: 'x' }), 409, 'STEP_NOT_OUTSTANDING');
    expect((await act({ action: 'retry-now' })).status).toBe(200);
    const skipped = await act({ action: 'skip-step', step: 'confirm', comment: 'confirmed by telephone' });
    expect([200, 202]).toContain(skipped.status);
    const { body } = await call('GET', `/v1/transactions/${id}?wait=5`);
    expect(body).toMatchObject({ status: 'completed', branches: [{ state: 'done' }, { state: 'skipped' }] });
    const audit = (await call('GET', '/v1/audit')).body.items.filter((item: any) => item.target === id);
    expect(audit.map((item: any) => [item.action, item.result])).toEqual([['skip-step confirm', expect.stringMatching(/done|taken/)], ['retry-now', 'done'], ['skip-step reserve', 'STEP_NOT_OUTSTANDING'], ['cancel', 'ALREADY_DECIDED']]);
  });
});

describe('a repetition while too much is under way', () => {
  it('is answered with what it was, and new work with 429', async () => {
    const body = saga(step('reserve', 'reserve'));
    const key = { 'idempotency-key': randomUUID() };
    const first = await submit(body, key);
    const stuck = await Promise.all(Array.from({ length: 20 }, () => submit(saga(step('wait', 'silent')), { prefer: 'respond-async' })));
    expect(stuck.every(({ status }) => status === 202)).toBe(true);
    expectProblem(await submit(body), 429, 'PARTICIPANT_OVERLOADED');
    expectProblem(await submit(body, { 'idempotency-key': randomUUID() }), 429, 'PARTICIPANT_OVERLOADED');
    expect((await submit(body, key)).body).toMatchObject({ id: first.body.id, status: 'completed' });
    const unchecked = await submit({ steps: [{ participant: 'shop' }] });
    expectProblem(unchecked, 429, 'PARTICIPANT_OVERLOADED');
    expect(unchecked.headers.get('retry-after')).toBe('1');
    expectProblem(await submit({ steps: [{ participant: 'nobody' }] }), 400);
    for (const { body: { id } } of stuck) await call('POST', `/v1/transactions/${id}/actions`, { action: 'cancel' });
  });
});

describe('a database that stops without a word', () => {
  it('makes every read answer 503 in bounded time, and nothing else', async () => {
    const { body: { id } } = await submit(saga(step('reserve', 'reserve')));
    const elsewhere = `${id.slice(0, 8)}-${id.slice(9, 13)}-${id.slice(14, 18)}-${id.slice(19, 23)}-${'0'.repeat(12)}`;
    way.block();
    const startedMs = Date.now();
    const answered = await Promise.all([
      '/v1/transactions', `/v1/transactions/${elsewhere}`, `/v1/transactions/${elsewhere}?wait=1`, `/v1/transactions/${elsewhere}/timeline`, '/v1/participants', '/v1/shards', '/v1/audit',
    ].map(async (path) => ({ path, status: (await call('GET', path)).status })));
    expect(answered.filter(({ status }) => status !== 503)).toEqual([]);
    expect((await call('GET', '/v1/stats')).status).toBe(200);
    expect((await fetch(`${app.url}/metrics`)).status).toBe(200);
    expect(Date.now() - startedMs).toBeLessThan(20_000);
    expectProblem(await submit(saga(step('reserve', 'reserve'))), 503);
    way.open();
    await eventually('it works again', async () => expect((await submit(saga(step('reserve', 'reserve')))).body.status).toBe('completed'), 45_000);
  }, 90_000);
});
