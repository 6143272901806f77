import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { ConcordatClient, ConcordatError, type TransactionRequest } from '#libs/client';
import { Abort, type BranchCall, Commit, Execute, Participant, participantApp, Prepare, type StepResult, vote, type VoteResult } from '#libs/participant';
import type { TransactionOutcome, Txid } from '#libs/protocol';
import type { RunningApp } from '#libs/service';
import { type CheckoutOptions, checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { effectsOf, statesOf } from '../support/shop-tables.js';
import { freshDatabase } from '../support/store.js';

/** A participant that only looks, and as a step of a saga tells what it was given. */
@Injectable()
@Participant('catalogue')
class Catalogue {
  @Prepare('look', { schema: { type: 'object' } })
  look(): VoteResult {
    return vote.readOnly({ priceCents: 1_000 });
  }

  @Commit('look')
  @Abort('look')
  async nothing(): Promise<void> {}

  @Execute('tell', { schema: { type: 'object' } })
  tell({ inputs }: BranchCall): StepResult {
    return vote.yes({ heard: inputs });
  }
}

@Module({ providers: [Catalogue] })
class CatalogueModule {}

const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const ATOMIC = ['2pc', '3pc', 'paxos-commit'] as const;
const PROTOCOLS = [...ATOMIC, 'saga'] as const;
type Checkout = CheckoutOptions & { readonly orderId: string };

let cluster: Cluster;
let catalogue: RunningApp;
let client: ConcordatClient;
let hook: http.Server;
const hooked: { readonly headers: http.IncomingHttpHeaders; readonly text: string }[] = [];
const answers = new Map<Txid, TransactionOutcome>();

beforeAll(async () => {
  hook = http.createServer((request, response) => {
    let text = '';
    request.on('data', (bytes: Buffer) => { text += bytes.toString(); });
    request.on('end', () => { hooked.push({ headers: request.headers, text }); response.writeHead(204).end(); });
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  cluster = await Cluster.start({
    adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS!, acceptors: ['witness'],
    env: { ACCEPTORS: 'witness,orders,payments', WEBHOOK_URL: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`, WEBHOOK_SECRET: SECRET },
  });
  catalogue = await participantApp({ name: 'catalogue', version: '1.0.0', defaultPort: 0, module: CatalogueModule })({
    CATALOGUE_DATABASE_URL: await freshDatabase('participant'), CATALOGUE_PORT: '0', KAFKA_BROKERS: process.env.KAFKA_BROKERS, KAFKA_TOPIC_PREFIX: cluster.topicPrefix,
    CONCORDAT_AUTH: 'off', LOG_LEVEL: 'fatal', INSTANCE_ID: 'catalogue-0',
  });
  client = new ConcordatClient({ url: cluster.url, token: cluster.tokens.submit });
  await eventually('the catalogue is known', async () => expect(JSON.stringify((await cluster.call('GET', '/v1/participants')).body)).toContain('catalogue'));
}, 120_000);
afterAll(async () => {
  await client?.close();
  await catalogue?.close();
  await cluster?.stop();
  hook?.close();
}, 60_000);

let customers = 0;
function newCheckout(over: CheckoutOptions = {}): Checkout {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${customers}`, sku: `s-${customers}`, quantity: 1, amountCents: 1_000, ...over };
}

async function submit(body: unknown, headers: Record<string, string> = {}): Promise<any> {
  const answer = await cluster.call('POST', '/v1/transactions', { body, role: 'submit', headers });
  expect({ status: answer.status, problem: answer.body.errors ?? null }).toEqual({ status: 200, problem: null });
  answers.set(answer.body.id, answer.body.status);
  return answer.body;
}

const read = async (id: string): Promise<any> => (await cluster.call('GET', `/v1/transactions/${id}`, { role: 'read' })).body;
const act = (id: string, body: unknown) => cluster.call('POST', `/v1/transactions/${id}/actions`, { body, role: 'operate' });
const happened = async (id: string): Promise<readonly any[]> => (await cluster.call('GET', `/v1/transactions/${id}/timeline`, { role: 'read' })).body.events;

const DONE = { order: 'confirmed', held: 0, paid: 1_000, reserved: 0, moved: 1 };
const VOTES = ['record BEGIN', 'send PREPARE', 'receive VOTE'];
const END = ['send COMMIT', 'receive ACK', 'record END'];

describe.each([
  ['2pc', 'committed', [...VOTES, 'record DECIDE', ...END]],
  ['3pc', 'committed', [...VOTES, 'record STATE', 'send PRE_COMMIT', 'receive PRE_ACK', ...END]],
  ['paxos-commit', 'committed', ['record BEGIN', 'send PREPARE', 'receive PHASE_2B', 'record DECIDE', ...END]],
  ['saga', 'completed', ['record BEGIN', 'record SENT', 'send EXECUTE', 'receive EXECUTED', 'record DECIDE', 'record END']],
] as const)('a checkout by %s', (protocol, status, events) => {
  it(`is ${status}, everywhere, when waitFor finished is answered, and its timeline tells how`, async () => {
    const checkout = newCheckout();
    const body = await submit({ ...checkoutRequest(checkout, protocol), waitFor: 'finished', metadata: { source: 'web' } });
    expect(body).toMatchObject({ protocol, status, decision: 'COMMIT', reason: null, finishedAt: expect.any(String), metadata: { source: 'web' } });
    expect(body.branches.map((branch: any) => branch.state)).toEqual(protocol === 'saga' ? ['done', 'done', 'done', 'done'] : ['committed', 'committed', 'committed']);
    expect(await effectsOf(cluster, checkout)).toEqual(DONE);
    expect(await read(body.id)).toMatchObject({ id: body.id, protocol, status, finishedAt: body.finishedAt });

    const timeline = await eventually('the end is in the timeline', async () => {
      const found = await happened(body.id);
      expect(found.at(-1)).toMatchObject({ type: 'record', name: 'END' });
      return found;
    });
    expect([...new Set(timeline.map(({ type, name }) => `${type} ${name}`))].sort()).toEqual([...events].sort());
    for (const event of timeline) expect(event).toMatchObject({ at: expect.stringMatching(/Z$/), from: expect.any(String), to: expect.any(String) });
    if (protocol === 'paxos-commit') expect(timeline.filter(({ name }) => name === 'PHASE_2B').map(({ from }) => from).sort()).toEqual(['acceptor/orders', 'acceptor/witness']);
  });

  it.each([
    ['OUT_OF_STOCK', 'inventory', { quantity: 1_000_001 }],
    ['INSUFFICIENT_FUNDS', 'payments', { amountCents: 1_000_001 }],
  ] as const)('is refused with %s by %s, and leaves nothing behind', async (code, participant, over) => {
    const refused = protocol === 'saga' ? 'compensated' : 'aborted';
    const checkout = newCheckout(over);
    const body = await submit({ ...checkoutRequest(checkout, protocol), waitFor: 'finished' });
    expect(body).toMatchObject({ status: refused, decision: 'ABORT', reason: { code, participant } });
    expect(await effectsOf(cluster, checkout)).toEqual({ order: 'rejected', held: 0, paid: 0, reserved: 0, moved: 0 });
    if (protocol === 'saga' && participant === 'payments') {
      expect((await happened(body.id)).filter(({ name }) => name === 'COMPENSATE').map(({ to }) => to).sort()).toEqual(['inventory', 'orders']);
      expect(body.branches.map((branch: any) => branch.state)).toEqual(['compensated', 'compensated', 'refused', 'waiting']);
    }
    const { body: page } = await cluster.call('GET', `/v1/transactions?protocol=${protocol}&status=${refused}&reason=${code}`, { role: 'read' });
    expect(page.items.map((item: any) => item.id)).toEqual([body.id]);
  });

  it('is in the list of its protocol and status alone', async () => {
    const { body: page } = await cluster.call('GET', `/v1/transactions?protocol=${protocol}&status=${status}`, { role: 'read' });
    expect(page.items.length).toBeGreaterThan(0);
    for (const item of page.items) expect([item.protocol, item.status]).toEqual([protocol, status]);
  });
});

describe('the SDK', () => {
  it.each(PROTOCOLS)('runs %s, and gives a refusal as a result', async (protocol) => {
    const run = (over: CheckoutOptions = {}) => client.run(checkoutRequest(newCheckout(over), protocol) as TransactionRequest);
    const [good, bad] = await Promise.all([run(), run({ amountCents: 1_000_001 })]);
    expect([good.outcome, bad.outcome]).toEqual(protocol === 'saga' ? ['completed', 'compensated'] : ['committed', 'aborted']);
    expect(bad).toMatchObject({ reason: { code: 'INSUFFICIENT_FUNDS' } });
    for (const result of [good, bad]) if (result.outcome !== 'unknown') answers.set(result.id as Txid, result.outcome);
  });

  it('sends transactions of all protocols in one batch', async () => {
    const results = await client.batch(PROTOCOLS.map((protocol) => checkoutRequest(newCheckout(), protocol as 'saga')));
    expect(results.map((result) => (result instanceof ConcordatError ? result.code : result.outcome))).toEqual(['committed', 'committed', 'committed', 'completed']);
  });
});

describe('a small transaction', () => {
  it.each(ATOMIC)('of one branch is committed, or refused, by %s', async (protocol) => {
    const debit = (amountCents: number) => submit({ protocol, waitFor: 'finished', branches: [{ participant: 'payments', operation: 'debit', payload: { orderId: `o-${randomUUID()}`, customerId: 'c-500', amountCents } }] });
    expect(await debit(1)).toMatchObject({ status: 'committed', branches: [{ state: 'committed' }] });
    expect(await debit(1_000_001)).toMatchObject({ status: 'aborted', reason: { code: 'INSUFFICIENT_FUNDS' } });
  });

  it('of one step is completed', async () => {
    const body = await submit({ protocol: 'saga', steps: [{ id: 'pay', kind: 'pivot', participant: 'payments', operation: 'debit', payload: { orderId: `o-${randomUUID()}`, customerId: 'c-500', amountCents: 1 } }] });
    expect(body).toMatchObject({ status: 'completed', branches: [{ id: 'pay', state: 'done' }] });
  });

  it.each(ATOMIC)('that only reads is committed by %s, with what was read and without a second phase', async (protocol) => {
    const body = await submit({ protocol, waitFor: 'finished', branches: [1, 2].map((page) => ({ participant: 'catalogue', operation: 'look', payload: { page } })) });
    expect(body).toMatchObject({ status: 'committed', branches: [{ vote: 'read-only' }, { vote: 'read-only' }] });
    if (protocol !== 'paxos-commit') expect(body.branches[0].result).toEqual({ priceCents: 1_000 });
    if (protocol === '2pc') expect((await happened(body.id)).map(({ name }) => name)).not.toContain('COMMIT');
  });

  it.each(ATOMIC)('reads at one and writes at another by %s', async (protocol) => {
    const branches = [{ participant: 'catalogue', operation: 'look', payload: {} }, { participant: 'inventory', operation: 'reserve', payload: { orderId: `o-${randomUUID()}`, sku: 's-500', quantity: 1 } }];
    expect(await submit({ protocol, waitFor: 'finished', branches })).toMatchObject({ status: 'committed', branches: [{ vote: 'read-only' }, { state: 'committed' }] });
  });
});

describe('a saga', () => {
  it('hands the results of earlier steps to later ones', async () => {
    const { orderId, customerId, sku } = newCheckout();
    const body = await submit({ protocol: 'saga', steps: [
      { id: 'place', participant: 'orders', operation: 'place', payload: { orderId, customerId, sku, quantity: 1, amountCents: 1 } },
      { id: 'ask', kind: 'pivot', participant: 'catalogue', operation: 'tell', payload: {} },
      { id: 'confirm', kind: 'retriable', participant: 'orders', operation: 'confirm', payload: { orderId } },
      { id: 'tell', kind: 'retriable', participant: 'catalogue', operation: 'tell', payload: {} },
    ] });
    const heard = { place: { orderId } };
    expect(body.branches[1].result).toEqual({ heard });
    expect(body.branches[3].result).toEqual({ heard: { ...heard, ask: { heard }, confirm: { orderId } } });
  });

  it('that needs a person says so, by a signed webhook too; retry-now, skip-step and resolve end it and are audited', async () => {
    const { orders, payments } = cluster.services;
    const checkouts = Array.from({ length: 3 }, () => newCheckout());
    const hooksBefore = hooked.length;
    payments.pause();
    let ids: string[];
    try {
      ids = await Promise.all(checkouts.map(async (checkout) => {
        const saga = checkoutRequest(checkout, 'saga');
        const steps = saga.steps.map((step) => ({ ...step, retry: { firstMs: 100, maxMs: 200 } }));
        return (await cluster.call('POST', '/v1/transactions', { body: { ...saga, steps, attentionAfterAttempts: 2 }, headers: { prefer: 'respond-async' } })).body.id as string;
      }));
      for (const id of ids) await eventually('the steps before the pivot are done', async () => expect(await statesOf(cluster, id)).toEqual(['executed', 'executed']), 10_000);
      orders.pause();
    } finally {
      payments.resume();
    }
    try {
      for (const id of ids) await eventually('it needs attention', async () => expect(await read(id)).toMatchObject({ status: 'needs-attention', decision: 'COMMIT', attention: { step: 'confirm', reason: { participant: 'orders' } } }), 10_000);
      const { body: page } = await cluster.call('GET', '/v1/transactions?status=needs-attention', { role: 'read' });
      expect(page.items.map((item: any) => item.id).sort()).toEqual([...ids].sort());
      await eventually('the webhook has heard of each', async () => expect(hooked.length - hooksBefore).toBe(3), 10_000);
      expect(hooked.slice(hooksBefore).map(verified).map(({ type, data }) => [type, data.step, data.id]).sort()).toEqual(ids.map((id) => ['transaction.needs-attention', 'confirm', id]).sort());

      const [retried, skipped, resolved] = ids as [string, string, string];
      expect((await act(retried, { action: 'retry-now' })).status).toBe(200);
      expect((await act(skipped, { action: 'skip-step', step: 'debit', comment: 'no' })).body.code).toBe('STEP_NOT_OUTSTANDING');
      expect([200, 202]).toContain((await act(skipped, { action: 'skip-step', step: 'confirm', comment: 'confirmed by hand' })).status);
      expect([200, 202]).toContain((await act(resolved, { action: 'resolve', comment: 'the shop is closed' })).status);
      await eventually('the skipped one is completed', async () => expect(await read(skipped)).toMatchObject({ status: 'completed', branches: [{}, {}, {}, { state: 'skipped' }] }));
      await eventually('the resolved one is completed', async () => expect(await read(resolved)).toMatchObject({ status: 'completed', resolved: { detail: 'the shop is closed' } }));
      expect(await read(retried)).toMatchObject({ status: 'needs-attention' });
    } finally {
      orders.resume();
    }
    await eventually('the other one ends by itself', async () => expect(await read(ids[0]!)).toMatchObject({ status: 'completed', attention: null }));
    const { body: audit } = await cluster.call('GET', '/v1/audit', { role: 'operate' });
    const entries = audit.items.filter(({ target }: any) => ids.includes(target)).map(({ action, target, comment, actor }: any) => [action, ids.indexOf(target), comment, actor]);
    expect(entries.reverse()).toEqual([
      ['retry-now', 0, null, 'token:operate'], ['skip-step debit', 1, 'no', 'token:operate'], ['skip-step confirm', 1, 'confirmed by hand', 'token:operate'], ['resolve', 2, 'the shop is closed', 'token:operate'],
    ]);
  }, 60_000);
});

describe('an acceptor of its own', () => {
  it('is one of three: without it transactions are decided all the same, and it is asked again when it is back', async () => {
    const [witness] = cluster.acceptors;
    await witness!.kill9();
    expect(await submit(checkoutRequest(newCheckout(), 'paxos-commit'))).toMatchObject({ status: 'committed' });
    await witness!.start();
    expect(await submit(checkoutRequest(newCheckout(), 'paxos-commit'))).toMatchObject({ status: 'committed' });
  }, 60_000);
});

describe('after all of this', () => {
  it('every invariant holds, and every client was told what is so', async () => {
    const report = await cluster.audit(answers);
    expect(Object.keys(report.transactions.byProtocol).sort()).toEqual([...PROTOCOLS].sort());
  }, 90_000);
});

/** As a receiver verifies it (docs/operations.md). */
function verified({ headers, text }: (typeof hooked)[number]): any {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = headers;
  const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
  expect(signature).toBe(`v1,${createHmac('sha256', key).update(`${String(id)}.${String(time)}.${text}`).digest('base64')}`);
  return JSON.parse(text);
}
