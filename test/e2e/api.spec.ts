import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { expectProblem, paths } from '../support/problem.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS!, coordinators: 2, storefront: true });
}, 120_000);
afterAll(async () => { await cluster?.stop(); }, 60_000);

const post = (body: unknown, headers: Record<string, string> = {}, url?: string) =>
  cluster.call('POST', '/v1/transactions', { body, headers, role: 'submit', ...(url === undefined ? {} : { url }) });
const unknownTxid = '01990000-0000-8000-8000-000000000000';

describe('POST /v1/transactions', () => {
  it('answers 200 with the committed transaction in the form of the contract', async () => {
    const { status, body } = await post({ ...checkoutRequest(), metadata: { source: 'web' }, timeoutMs: 10_000 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: expect.any(String), protocol: '2pc', status: 'committed', createdAt: expect.stringMatching(/^\d{4}-.*Z$/), decidedAt: expect.any(String), reason: null });
    expect(body.branches.map((b: any) => [b.index, b.participant, b.operation, b.vote])).toEqual([[0, 'orders', 'place', 'yes'], [1, 'payments', 'debit', 'yes'], [2, 'inventory', 'reserve', 'yes']]);
    expect(body.branches.map((b: any) => b.attempts)).toEqual([1, 1, 1]);
  });

  it.each([
    ['INSUFFICIENT_FUNDS', { amountCents: 2_000_000 }, 'payments'],
    ['UNKNOWN_CUSTOMER', { customerId: 'c-none' }, 'payments'],
    ['OUT_OF_STOCK', { quantity: 2_000_000 }, 'inventory'],
    ['UNKNOWN_SKU', { sku: 's-none' }, 'inventory'],
  ])('answers 200 with the aborted transaction and the reason %s', async (code, options, participant) => {
    const { status, body } = await post(checkoutRequest(options));
    expect({ status, outcome: body.status, reason: body.reason }).toEqual({ status: 200, outcome: 'aborted', reason: expect.objectContaining({ code, participant }) });
  });

  it('refuses a second order with the same id as DUPLICATE_ORDER', async () => {
    const request = checkoutRequest();
    expect((await post(request)).body.status).toBe('committed');
    expect((await post(request)).body).toMatchObject({ status: 'aborted', reason: { code: 'DUPLICATE_ORDER', participant: 'orders' } });
  });

  it('answers 202 with a Location at once for respond-async, and the location tells the outcome', async () => {
    const accepted = await post(checkoutRequest(), { prefer: 'respond-async' });
    expect(accepted.status).toBe(202);
    const location = accepted.headers.get('location')!;
    expect(location).toBe(`/v1/transactions/${accepted.body.id}`);
    const { status, body } = await cluster.call('GET', `${location}?wait=10`, { role: 'read' });
    expect([status, body.status]).toEqual([200, 'committed']);
  });

  it('with waitFor finished answers when every participant has applied the decision', async () => {
    const request = checkoutRequest({ customerId: 'c-77', amountCents: 500 });
    const { body } = await post({ ...request, waitFor: 'finished' });
    expect(body).toMatchObject({ status: 'committed', finishedAt: expect.any(String) });
    const orderId = (request.branches[0]!.payload as { orderId: string }).orderId;
    const { rows } = await cluster.pools.orders.query('SELECT status FROM orders WHERE id = $1', [orderId]);
    expect(rows).toEqual([{ status: 'confirmed' }]);
    const { rows: ledger } = await cluster.pools.payments.query('SELECT amount_cents::int AS amount FROM ledger_entry WHERE order_id = $1', [orderId]);
    expect(ledger).toEqual([{ amount: 500 }]);
  });

  it('commits a single-branch transaction in one phase', async () => {
    const { body } = await post({ protocol: '2pc', branches: [checkoutRequest().branches[0]] });
    expect(body).toMatchObject({ status: 'committed', branches: [{ state: 'committed' }] });
  });

  it.each([
    ['malformed JSON', '{"protocol": ', 400],
    ['an empty body', '', 400],
    ['an array', '[]', 400],
  ])('refuses %s with a problem', async (_name, body, status) => {
    expectProblem(await cluster.call('POST', '/v1/transactions', { body, role: 'submit' }), status);
  });

  it('names every wrong field by its path', async () => {
    const request: any = checkoutRequest();
    request.branches[1].participant = '';
    request.branches[2].operation = 7;
    const response = await post({ ...request, timeoutMs: 'soon', surprise: true });
    expectProblem(response, 400);
    expect(paths(response)).toEqual(expect.arrayContaining(['branches[1].participant', 'branches[2].operation', 'timeoutMs', 'surprise']));
  });

  it('refuses a transaction without branches', async () => {
    const response = await post({ protocol: '2pc', branches: [] });
    expectProblem(response, 400);
    expect(paths(response)).toContain('branches');
  });

  it('refuses an unknown participant, an unknown operation and a payload that breaks the schema with 422 and the path', async () => {
    const [orders, payments] = checkoutRequest().branches as any[];
    const participant = await post({ protocol: '2pc', branches: [orders, { ...payments, participant: 'shipping' }] });
    expectProblem(participant, 422, 'UNKNOWN_PARTICIPANT');
    expect(paths(participant)).toEqual(['branches[1].participant']);
    const operation = await post({ protocol: '2pc', branches: [orders, { ...payments, operation: 'refund' }] });
    expectProblem(operation, 422, 'UNKNOWN_OPERATION');
    expect(paths(operation)).toEqual(['branches[1].operation']);
    const schema = await post({ protocol: '2pc', branches: [orders, { ...payments, payload: { ...payments.payload, amountCents: 'ten' } }] });
    expectProblem(schema, 422, 'INVALID_PAYLOAD');
    expect(paths(schema)).toEqual(['branches[1].payload.amountCents']);
  });

  it.each(['3pc', 'paxos-commit'])('commits by %s as by 2pc', async (protocol) => {
    const { status, body } = await post({ ...checkoutRequest(), protocol });
    expect([status, body.protocol, body.status, body.decision]).toEqual([200, protocol, 'committed', 'COMMIT']);
    const { body: refused } = await post({ ...checkoutRequest({ sku: 's-none' }), protocol });
    expect(refused).toMatchObject({ protocol, status: 'aborted', reason: { code: 'UNKNOWN_SKU', participant: 'inventory' } });
  });

  it('refuses a single branch with the name of its participant', async () => {
    const { body } = await post({ protocol: '2pc', branches: [checkoutRequest({ amountCents: 2_000_000 }).branches[1]] });
    expect(body).toMatchObject({ status: 'aborted', reason: { code: 'INSUFFICIENT_FUNDS', participant: 'payments' } });
  });

  it('refuses a protocol that does not exist', async () => {
    const response = await post({ ...checkoutRequest(), protocol: 'hope' });
    expectProblem(response, 400);
    expect(paths(response)).toEqual(['protocol']);
  });

  it('refuses a body over the limit with 413 and loses nothing', async () => {
    expectProblem(await post({ ...checkoutRequest(), metadata: { text: 'x'.repeat(3_000_000) } }), 413);
    expect((await post(checkoutRequest())).status).toBe(200);
  });

  it('refuses another content type', async () => {
    expectProblem(await post('protocol=2pc', { 'content-type': 'text/plain' }), 415);
  });
});

describe('Idempotency-Key', () => {
  it('answers a repeat with the first transaction and runs nothing again', async () => {
    const request = checkoutRequest();
    const key = randomUUID();
    const first = await post(request, { 'idempotency-key': key });
    const second = await post(request, { 'idempotency-key': key });
    expect([first.status, second.status, second.body.id, second.body.status]).toEqual([200, 200, first.body.id, 'committed']);
  });

  it('is answered by another instance too', async () => {
    const request = checkoutRequest();
    const key = randomUUID();
    const first = await post(request, { 'idempotency-key': key }, cluster.coordinators[0]!.url);
    const second = await post(request, { 'idempotency-key': key }, cluster.coordinators[1]!.url);
    expect([second.status, second.body.id]).toEqual([200, first.body.id]);
  });

  it('with another body is refused with 422', async () => {
    const key = randomUUID();
    await post(checkoutRequest(), { 'idempotency-key': key });
    expectProblem(await post(checkoutRequest(), { 'idempotency-key': key }), 422, 'IDEMPOTENCY_KEY_REUSED');
  });

  it('sent to two instances at once runs one transaction, and both answers are that one', async () => {
    const rounds = Array.from({ length: 40 }, () => ({ request: checkoutRequest(), key: randomUUID() }));
    await Promise.all(rounds.map(async ({ request, key }) => {
      const answers = await Promise.all(cluster.coordinators.flatMap((c) => [post(request, { 'idempotency-key': key }, c.url), post(request, { 'idempotency-key': key }, c.url)]));
      expect(answers.map((a) => [a.status, a.body.status, a.body.id])).toEqual(answers.map(() => [200, 'committed', answers[0]!.body.id]));
    }));
  });

  it('longer than 255 characters is refused', async () => {
    expectProblem(await post(checkoutRequest(), { 'idempotency-key': 'k'.repeat(256) }), 400);
  });
});

describe('reading transactions', () => {
  it('any instance answers, also after the transaction has finished', async () => {
    const { body } = await post({ ...checkoutRequest(), waitFor: 'finished' });
    for (const coordinator of cluster.coordinators) {
      const { status, body: seen } = await cluster.call('GET', `/v1/transactions/${body.id}?wait=5`, { role: 'read', url: coordinator.url });
      expect([status, seen.id, seen.status]).toEqual([200, body.id, 'committed']);
    }
  });

  it('the timeline lists every record and message with time, sender and receiver', async () => {
    const { body } = await post({ ...checkoutRequest(), waitFor: 'finished' });
    const timeline = await eventually('the end is in the timeline', async () => {
      const { body: answer } = await cluster.call('GET', `/v1/transactions/${body.id}/timeline`, { role: 'read' });
      const events = answer.events ?? answer.timeline ?? answer;
      if (!events.some((e: any) => e.name === 'END')) throw new Error(JSON.stringify(answer));
      return events as any[];
    });
    const count = (name: string): number => timeline.filter((e) => e.name === name).length;
    expect({ begin: count('BEGIN'), decide: count('DECIDE'), end: count('END'), prepare: count('PREPARE'), vote: count('VOTE'), commit: count('COMMIT'), ack: count('ACK') })
      .toEqual({ begin: 1, decide: 1, end: 1, prepare: 3, vote: 3, commit: 3, ack: 3 });
    for (const event of timeline) expect(event).toMatchObject({ at: expect.stringMatching(/Z$/), from: expect.any(String), to: expect.any(String) });
    expect(timeline.map((e) => e.at)).toEqual(timeline.map((e) => e.at).sort());
  });

  it('lists by status, protocol, participant, reason and time, page by page, without repeats', async () => {
    const since = new Date().toISOString();
    await Promise.all(Array.from({ length: 7 }, () => post({ ...checkoutRequest({ sku: 's-none' }), waitFor: 'finished' })));
    const query = `status=aborted&protocol=2pc&participant=inventory&reason=UNKNOWN_SKU&since=${encodeURIComponent(since)}&limit=3`;
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { status, body } = await cluster.call('GET', `/v1/transactions?${query}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, { role: 'read' });
      expect(status).toBe(200);
      const items = body.items ?? body.transactions;
      expect(items.length).toBeLessThanOrEqual(3);
      for (const item of items) expect(item).toMatchObject({ status: 'aborted', reason: { code: 'UNKNOWN_SKU' } });
      seen.push(...items.map((t: any) => t.id));
      cursor = body.nextCursor ?? null;
    }
    expect(seen).toHaveLength(7);
    expect(new Set(seen).size).toBe(7);
  });

  it.each(['status=great', 'limit=0', 'limit=ten', 'since=yesterday', 'cursor=%00', 'protocol=x'])('refuses the filter %s and names it', async (query) => {
    const response = await cluster.call('GET', `/v1/transactions?${query}`, { role: 'read' });
    expectProblem(response, 400);
    expect(paths(response)).toEqual([query.split('=')[0]]);
  });

  it('answers 404 for a transaction that is not there and for an id that is none', async () => {
    expectProblem(await cluster.call('GET', `/v1/transactions/${unknownTxid}`, { role: 'read' }), 404);
    expectProblem(await cluster.call('GET', `/v1/transactions/${unknownTxid}/timeline`, { role: 'read' }), 404);
    const nonsense = await cluster.call('GET', '/v1/transactions/nonsense', { role: 'read' });
    expect([400, 404]).toContain(nonsense.status);
    expectProblem(await cluster.call('GET', '/v1/nowhere', { role: 'read' }), 404);
  });

  it('streams events of transactions as they happen, of both instances', async () => {
    const controller = new AbortController();
    const stream = await fetch(`${cluster.coordinators[0]!.url}/v1/transactions/events`, { headers: { authorization: `Bearer ${cluster.tokens.read}`, accept: 'text/event-stream' }, signal: controller.signal });
    expect(stream.headers.get('content-type')).toContain('text/event-stream');
    let text = '';
    const reading = (async () => { for await (const chunk of stream.body!) text += Buffer.from(chunk).toString(); })().catch(() => undefined);
    const ids = await Promise.all(cluster.coordinators.map(async (c) => (await post(checkoutRequest(), {}, c.url)).body.id as string));
    await eventually('both decisions are in the stream', async () => { for (const id of ids) if (!text.includes(id)) throw new Error(text); }, 20_000);
    expect(text).toMatch(/^event: /m);
    expect(text).toMatch(/^data: \{/m);
    controller.abort();
    await reading;
  });
});

describe('participants, shards, stats, health, metrics, documentation', () => {
  it('lists participants with operations, payload schemas and instances', async () => {
    const { body } = await cluster.call('GET', '/v1/participants', { role: 'read' });
    const items = body.participants ?? body.items;
    const payments = items.find((p: any) => p.name === 'payments');
    expect(payments).toMatchObject({ operations: expect.arrayContaining([expect.objectContaining({ name: 'debit', payloadSchema: expect.objectContaining({ type: 'object' }) })]) });
    expect(payments.instances.length).toBeGreaterThanOrEqual(1);
  });

  it('lists all shards with owner and epoch, shared out over both instances', async () => {
    await eventually('both own shards', async () => {
      const { body } = await cluster.call('GET', '/v1/shards', { role: 'read' });
      const shards = body.shards ?? body.items;
      expect(shards).toHaveLength(8);
      expect(new Set(shards.map((s: any) => s.owner)).size).toBe(2);
      for (const shard of shards) expect(shard.epoch).toBeGreaterThanOrEqual(1);
    });
  });

  it('counts in stats', async () => {
    const { status, body } = await cluster.call('GET', '/v1/stats', { role: 'read' });
    expect(status).toBe(200);
    expect(JSON.stringify(body)).toMatch(/committed/);
  });

  it('is live and ready without a token, and gives metrics to the local machine', async () => {
    for (const path of ['/health/live', '/health/ready']) expect((await cluster.call('GET', path, { role: null })).status).toBe(200);
    const metrics = await cluster.call('GET', '/metrics', { role: null });
    expect(metrics.status).toBe(200);
    expect(metrics.body).toMatch(/concordat_\w+.*\d/);
  });

  it('describes itself with OpenAPI', async () => {
    const page = await cluster.call('GET', '/docs', { role: 'read' });
    expect(page.status).toBe(200);
    const { body } = await cluster.call('GET', '/docs-json', { role: 'read' });
    for (const path of ['/v1/transactions', '/v1/transactions:batch', '/v1/transactions/{id}', '/v1/transactions/{id}/timeline', '/v1/transactions/{id}/actions', '/v1/transactions/events', '/v1/participants', '/v1/shards', '/v1/stats', '/v1/audit']) expect(Object.keys(body.paths)).toContain(path);
  });
});

describe('tokens and roles', () => {
  it('refuses no token and a wrong token with 401', async () => {
    for (const path of ['/v1/transactions', '/v1/participants', '/v1/shards', '/v1/stats', '/v1/audit', `/v1/transactions/${unknownTxid}`]) {
      expectProblem(await cluster.call('GET', path, { role: null }), 401);
      const wrong = await cluster.call('GET', path, { role: null, headers: { authorization: 'Bearer wrong' } });
      expectProblem(wrong, 401);
      expect(wrong.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
    expectProblem(await cluster.call('POST', '/v1/transactions', { role: null, body: checkoutRequest() }), 401);
  });

  it('refuses what the role does not include with 403', async () => {
    expectProblem(await cluster.call('POST', '/v1/transactions', { role: 'read', body: checkoutRequest() }), 403);
    expectProblem(await cluster.call('POST', `/v1/transactions/${unknownTxid}/actions`, { role: 'submit', body: { action: 'cancel' } }), 403);
    expectProblem(await cluster.call('GET', '/v1/audit', { role: 'submit' }), 403);
  });

  it('operate includes read and submit', async () => {
    expect((await cluster.call('POST', '/v1/transactions', { role: 'operate', body: checkoutRequest() })).status).toBe(200);
    expect((await cluster.call('GET', '/v1/stats', { role: 'operate' })).status).toBe(200);
  });
});

describe('operator actions', () => {
  const act = (id: string, body: unknown) => cluster.call('POST', `/v1/transactions/${id}/actions`, { body, role: 'operate' });

  it('refuses unknown actions, unknown transactions and finished ones', async () => {
    const { body } = await post({ ...checkoutRequest(), waitFor: 'finished' });
    expectProblem(await act(body.id, { action: 'explode' }), 400);
    expectProblem(await act(unknownTxid, { action: 'cancel' }), 404);
    expectProblem(await act(body.id, { action: 'cancel', comment: 'too late' }), 409);
    const skip = await act(body.id, { action: 'skip-step', step: 'none', comment: 'no' });
    expect([409, 422]).toContain(skip.status);
  });

  it('pause refuses new transactions for the participant with 503, resume takes them again, and both are audited', async () => {
    const first = { key: `before the pause ${Math.random()}`, request: checkoutRequest(), id: '' };
    first.id = (await post(first.request, { 'idempotency-key': first.key })).body.id;
    const pause = await cluster.call('POST', '/v1/participants/inventory/actions', { body: { action: 'pause', comment: 'stocktaking' }, role: 'operate' });
    expect(pause.status).toBe(200);
    await eventually('both instances refuse', async () => {
      for (const coordinator of cluster.coordinators) {
        const refused = await post(checkoutRequest(), {}, coordinator.url);
        expectProblem(refused, 503, 'PARTICIPANT_PAUSED');
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      }
    });
    const repeated = await post(first.request, { 'idempotency-key': first.key });
    expect([repeated.status, repeated.body.id]).toEqual([200, first.id]);
    await cluster.call('POST', '/v1/participants/inventory/actions', { body: { action: 'resume' }, role: 'operate' });
    await eventually('both instances take it again', async () => {
      for (const coordinator of cluster.coordinators) expect((await post(checkoutRequest(), {}, coordinator.url)).status).toBe(200);
    });
    const { body } = await cluster.call('GET', '/v1/audit', { role: 'operate' });
    const entries = body.items ?? body.entries;
    expect(entries.map((e: any) => e.action)).toEqual(expect.arrayContaining(['pause', 'resume']));
    expect(entries.find((e: any) => e.action === 'pause')).toMatchObject({ comment: 'stocktaking' });
    expectProblem(await cluster.call('POST', '/v1/participants/nobody/actions', { body: { action: 'pause' }, role: 'operate' }), 404);
  });

  it('cancel aborts an undecided transaction with CANCELLED', async () => {
    await cluster.services.inventory.kill9();
    try {
      const started = await post(checkoutRequest(), { prefer: 'respond-async' });
      expect(started.status).toBe(202);
      const cancelled = await eventually('the cancel is taken', async () => {
        for (const coordinator of cluster.coordinators) {
          const answer = await cluster.call('POST', `/v1/transactions/${started.body.id}/actions`, { body: { action: 'cancel', comment: 'changed my mind' }, role: 'operate', url: coordinator.url });
          if (answer.status === 200) return answer;
        }
        throw new Error('no instance took it');
      });
      expect(cancelled.body).toMatchObject({ status: 'aborted', reason: { code: 'CANCELLED' } });
    } finally {
      await cluster.services.inventory.start();
    }
  }, 60_000);

  it('a participant that is down aborts the transaction with PREPARE_TIMEOUT, which names it', async () => {
    await cluster.services.inventory.kill9();
    const started = await post({ ...checkoutRequest(), timeoutMs: 2_000 }, { prefer: 'wait=10' });
    expect(started.body).toMatchObject({ status: 'aborted', reason: { code: 'PREPARE_TIMEOUT', detail: expect.stringContaining('inventory') } });
    await cluster.services.inventory.start();
  }, 60_000);
});

describe('the storefront', () => {
  const shop = (method: string, path: string, body?: unknown) => cluster.call(method, path, { role: null, url: cluster.storefront!.url, ...(body === undefined ? {} : { body }) });

  it('runs a checkout and shows order, customer and stock', async () => {
    const before = (await shop('GET', '/customers/c-42')).body;
    const { status, body } = await shop('POST', '/checkout', { customerId: 'c-42', sku: 's-42', quantity: 2, amountCents: 700 });
    expect([status, body.status]).toEqual([200, 'committed']);
    await eventually('the order is confirmed', async () => {
      expect((await shop('GET', `/orders/${body.orderId}`)).body).toMatchObject({ id: body.orderId, status: 'confirmed', customerId: 'c-42' });
      expect((await shop('GET', '/customers/c-42')).body).toMatchObject({ balanceCents: before.balanceCents - 700 });
    });
    expect((await shop('GET', '/inventory/s-42')).body).toMatchObject({ sku: 's-42' });
  });

  it('tells a refusal and its reason', async () => {
    const { body } = await shop('POST', '/checkout', { customerId: 'c-42', sku: 's-42', quantity: 1, amountCents: 5_000_000 });
    expect(body).toMatchObject({ status: 'aborted', reason: { code: 'INSUFFICIENT_FUNDS' } });
  });

  it('refuses bad input with the field, and says 404 for what is not there', async () => {
    const bad = await shop('POST', '/checkout', { customerId: 'c-42', sku: 's-42', quantity: 0, amountCents: 'x' });
    expectProblem(bad, 400);
    expect(paths(bad)).toEqual(expect.arrayContaining(['quantity', 'amountCents']));
    for (const path of ['/orders/none', '/customers/none', '/inventory/none']) expectProblem(await shop('GET', path), 404);
  });
});

it('afterwards every invariant holds', async () => {
  await cluster.audit();
}, 90_000);
