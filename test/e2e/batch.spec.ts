import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { expectProblem } from '../support/problem.js';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS!, coordinators: 2 });
}, 120_000);
afterAll(async () => { await cluster?.stop(); }, 60_000);

const post = (body: unknown, headers: Record<string, string> = {}) => cluster.call('POST', '/v1/transactions', { body, headers, role: 'submit' });

describe('POST /v1/transactions:batch', () => {
  const batch = (transactions: unknown, role: 'submit' | 'read' = 'submit') => cluster.call('POST', '/v1/transactions:batch', { body: { transactions }, role });

  it('answers in the order asked, refusals and bad items in their places', async () => {
    const { status, body } = await batch([checkoutRequest(), checkoutRequest({ sku: 's-none' }), { protocol: '2pc', branches: [] }, checkoutRequest()]);
    expect(status).toBe(200);
    const items = body.transactions ?? body.items ?? body.results;
    expect(items.map((t: any) => t.status)).toEqual(['committed', 'aborted', 400, 'committed']);
  });

  it('refuses more than 1,000 transactions', async () => {
    const response = await batch(Array.from({ length: 1001 }, () => ({ protocol: '2pc', branches: [] })));
    expect([400, 413]).toContain(response.status);
    expectProblem(response, response.status);
  });

  it('takes 1,000 at once', async () => {
    const { status, body } = await batch(Array.from({ length: 1000 }, (_, i) => checkoutRequest({ customerId: `c-${i + 1}`, sku: `s-${i + 1}` })));
    expect(status).toBe(200);
    const items = body.transactions ?? body.items ?? body.results;
    expect(items.filter((t: any) => t.status === 'committed')).toHaveLength(1000);
  }, 60_000);
});

describe('POST /v1/transactions:batch in lines', () => {
  const accept = 'application/x-ndjson';
  const [orders, payments] = [0, 1].map((i) => () => ({ protocol: '2pc', branches: [checkoutRequest().branches[i]!] }));
  const batch = (transactions: unknown, headers: Record<string, string> = {}) => cluster.call('POST', '/v1/transactions:batch', { body: { transactions }, role: 'submit', headers: { accept, ...headers } });

  /** Reads lines as they come. */
  async function open(transactions: unknown, options: { url?: string; headers?: Record<string, string> } = {}) {
    const controller = new AbortController();
    const response = await fetch(`${options.url ?? cluster.coordinators[0]!.url}/v1/transactions:batch`, {
      method: 'POST', signal: controller.signal, body: JSON.stringify({ transactions }),
      headers: { authorization: `Bearer ${cluster.tokens.submit}`, 'content-type': 'application/json', accept, ...options.headers },
    });
    const lines: any[] = [];
    const ended = (async () => {
      let text = '';
      for await (const chunk of response.body!) {
        text += Buffer.from(chunk).toString();
        for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
          lines.push(JSON.parse(text.slice(0, end)));
          text = text.slice(end + 1);
        }
      }
    })().catch(() => undefined);
    return { response, lines, ended, leave: () => controller.abort() };
  }

  it('answers each by a line with its place, a refused and a malformed one too', async () => {
    const key = randomUUID();
    const repeated = { ...checkoutRequest(), idempotencyKey: key };
    const { response, lines, ended } = await open([checkoutRequest(), checkoutRequest({ sku: 's-none' }), { protocol: '2pc', branches: [] }, 7, { ...checkoutRequest(), branches: [{ ...checkoutRequest().branches[0], participant: 'shipping' }] }, repeated]);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, accept]);
    await ended;
    const byIndex = lines.toSorted((a, b) => a.index - b.index);
    expect(byIndex).toMatchObject([
      { index: 0, transaction: { status: 'committed', branches: [{ participant: 'orders' }, {}, {}] } },
      { index: 1, transaction: { status: 'aborted', reason: { code: 'UNKNOWN_SKU' } } },
      { index: 2, problem: { status: 400, code: 'VALIDATION_FAILED', errors: [{ path: 'branches' }] } },
      { index: 3, problem: { status: 400, code: 'VALIDATION_FAILED' } },
      { index: 4, problem: { status: 422, code: 'UNKNOWN_PARTICIPANT', errors: [{ path: 'branches[0].participant' }] } },
      { index: 5, transaction: { status: 'committed' } },
    ]);
    const { idempotencyKey: _, ...body } = repeated;
    expect((await post(body, { 'idempotency-key': key })).body.id).toBe(byIndex[5].transaction.id);
  });

  it('takes 1,000 at once, and each has one line', async () => {
    const { lines, ended } = await open(Array.from({ length: 1000 }, (_, i) => checkoutRequest({ customerId: `c-${i + 1}`, sku: `s-${i + 1}` })));
    await ended;
    expect(lines.map((line) => line.index).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(lines.filter((line) => line.transaction?.status === 'committed')).toHaveLength(1000);
  }, 60_000);

  it('is refused as a whole, with its status, where it is malformed as a whole or comes without the role', async () => {
    expectProblem(await cluster.call('POST', '/v1/transactions:batch', { body: '{"transactions": ', role: 'submit', headers: { accept } }), 400, 'MALFORMED_JSON');
    expectProblem(await batch([]), 400, 'VALIDATION_FAILED');
    expectProblem(await batch(Array.from({ length: 1001 }, () => ({}))), 400, 'VALIDATION_FAILED');
    expectProblem(await cluster.call('POST', '/v1/transactions:batch', { body: { transactions: [checkoutRequest()] }, role: 'read', headers: { accept } }), 403);
  });

  describe('while a participant is down', () => {
    beforeAll(() => cluster.services.inventory.kill9());
    afterAll(() => cluster.services.inventory.start(), 60_000);

    it('does not make the others wait for an item that cannot be decided', async () => {
      const stuck = { request: { ...checkoutRequest(), timeoutMs: 60_000 }, key: randomUUID() };
      const { lines, ended } = await open([{ ...stuck.request, idempotencyKey: stuck.key }, orders!(), payments!()], { headers: { prefer: 'wait=60' } });
      await eventually('the others have their lines', async () => { if (lines.length < 2) throw new Error(JSON.stringify(lines)); });
      expect(lines.map((line) => [line.index, line.transaction.status]).sort()).toEqual([[1, 'committed'], [2, 'committed']]);
      // Nothing but this decides it, and this comes after the lines.
      const { body: pending } = await post(stuck.request, { 'idempotency-key': stuck.key, prefer: 'respond-async' });
      expect(pending.status).toBe('pending');
      expect((await cluster.call('POST', `/v1/transactions/${pending.id}/actions`, { body: { action: 'cancel' }, role: 'operate' })).status).toBe(200);
      await ended;
      expect(lines[2]).toMatchObject({ index: 0, transaction: { status: 'aborted', reason: { code: 'CANCELLED' } } });
    }, 60_000);

    it('tells of an item that it is pending when its wait is over', async () => {
      const { lines, ended } = await open([{ ...checkoutRequest(), timeoutMs: 5_000 }, orders!()], { headers: { prefer: 'wait=1' } });
      await ended;
      expect(lines).toMatchObject([{ index: 1, transaction: { status: 'committed' } }, { index: 0, transaction: { status: 'pending', decidedAt: null } }]);
    });

    it('ends with a line for each when its instance stops', async () => {
      const instance = cluster.coordinators[1]!;
      const { lines, ended } = await open([{ ...checkoutRequest(), timeoutMs: 60_000 }, orders!()], { url: instance.url, headers: { prefer: 'wait=60' } });
      await eventually('one has its line', async () => { expect(lines).toHaveLength(1); });
      // It gets SIGKILL after 15 s: an instance that waited for the item as long as its client would, 60 s, could write no line.
      await instance.stop();
      await ended;
      expect(lines).toMatchObject([{ index: 1 }, { index: 0, transaction: { status: 'pending' } }]);
      await instance.start();
    }, 60_000);
  });

  it('goes on without the client that has left in the middle', async () => {
    await cluster.services.inventory.kill9();
    const waiting = Array.from({ length: 5 }, () => ({ request: { ...checkoutRequest(), timeoutMs: 50_000 }, key: randomUUID() }));
    const { lines, ended, leave } = await open([orders!(), ...waiting.map(({ request, key }) => ({ ...request, idempotencyKey: key }))]);
    await eventually('the first line is there', async () => { expect(lines).toHaveLength(1); });
    leave();
    await ended;
    await cluster.services.inventory.start();
    const answers = await Promise.all(waiting.map(({ request, key }) => post(request, { 'idempotency-key': key, prefer: 'wait=30' })));
    expect(answers.map((a) => [a.status, a.body.status])).toEqual(waiting.map(() => [200, 'committed']));
    for (const { body } of answers) expect(Date.parse(body.createdAt)).toBeLessThan(Date.parse(body.decidedAt) - 100);
  }, 60_000);
});

it('afterwards every invariant holds', async () => {
  await cluster.audit();
}, 90_000);
