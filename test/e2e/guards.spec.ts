import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConcordatClient, type Result, type TransactionRequest } from '#libs/client';
import { makeTxid, type Message, type ProtocolMessage, type TransactionOutcome, type Txid } from '#libs/protocol';
import { type CheckoutOptions, checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { Inboxes } from '../support/inbox.js';
import { effectsOf, locksIn, statesOf, touchRows, txidOf } from '../support/shop-tables.js';

// One guard for each of the rivals' worst complaints that no other file guards already: docs/guards.md lists all of them.

const PROTOCOLS = ['2pc', '3pc', 'paxos-commit', 'saga'] as const;
type Protocol = (typeof PROTOCOLS)[number];
type Checkout = CheckoutOptions & { readonly orderId: string };

let cluster: Cluster;
let client: ConcordatClient;
let inboxes: Inboxes;
const answers = new Map<Txid, TransactionOutcome>();

beforeAll(async () => {
  cluster = await Cluster.start({
    adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS!, coordinators: 2, crashPoints: true, env: { KAFKA_SESSION_TIMEOUT_MS: '1000', KAFKA_HEARTBEAT_MS: '200', INQUIRE_AFTER_MS: '200' },
  });
  client = new ConcordatClient({ urls: cluster.coordinators.map(({ url }) => url), token: cluster.tokens.submit, connectTimeoutMs: 500 });
  inboxes = Inboxes.of(cluster);
}, 120_000);
afterAll(async () => {
  await inboxes?.close();
  await client?.close();
  await cluster?.stop();
}, 60_000);

let customers = 0;
function newCheckout(over: CheckoutOptions = {}): Checkout {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${customers}`, sku: `s-${customers}`, quantity: 1, amountCents: 1_000, ...over };
}

const requestOf = (checkout: Checkout, protocol: Protocol): TransactionRequest => checkoutRequest(checkout, protocol as 'saga');

/** As a patient caller, who asks under the same key until it knows. */
async function certain(request: TransactionRequest, idempotencyKey: string = randomUUID()): Promise<Exclude<Result, { outcome: 'unknown' }>> {
  const result = await eventually('the client knows', async () => {
    const found = await client.run(request, { idempotencyKey, waitMs: 10_000 });
    if (found.outcome === 'unknown') throw found.cause;
    return found;
  });
  answers.set(result.id as Txid, result.outcome);
  return result;
}

/** Taken, and answered with 202 before anything is decided. */
async function begin(request: TransactionRequest, url: string): Promise<Txid> {
  const { status, body } = await cluster.call('POST', '/v1/transactions', { body: request, role: 'submit', url, headers: { prefer: 'respond-async' } });
  expect(status).toBe(202);
  return body.id;
}

async function outcomeOf(id: Txid, url: string): Promise<TransactionOutcome> {
  const status = await eventually('it has an outcome', async () => {
    const { body } = await cluster.call('GET', `/v1/transactions/${id}?wait=30&waitFor=finished`, { role: 'read', url });
    expect(['committed', 'aborted', 'completed', 'compensated']).toContain(body.status);
    return body.status as TransactionOutcome;
  });
  answers.set(id, status);
  return status;
}

describe('stuck locks: a process that dies', () => {
  it.each([
    '2pc/BRANCH-prepared', '2pc/BRANCH-committed', '3pc/BRANCH-pre-committed', 'paxos-commit/BRANCH-committed', 'saga/BRANCH-executed',
  ])('in the middle of its local transaction (%s) leaves no lock, although nobody starts it again', async (kind) => {
    const { payments } = cluster.services;
    const checkout = newCheckout();
    payments.arm(`participant.before.write:${kind}`);
    const asked = certain(requestOf(checkout, kind.split('/')[0] as Protocol));
    expect((await payments.death).signal).toBe('SIGKILL');
    await touchRows(cluster, checkout);
    await eventually('no lock is held', async () => expect(await locksIn(cluster)).toEqual([]));
    expect(payments.alive).toBe(false);
    await payments.start();
    await asked;
    await eventually('everything of it has ended', async () => expect(await effectsOf(cluster, checkout)).toMatchObject({ held: 0, reserved: 0 }));
  }, 60_000);
});

describe('an outcome that is told', () => {
  it.each([
    ['2pc', 'before.write:2pc/DECIDE', 'aborted'],
    ['2pc', 'after.write:2pc/DECIDE', 'committed'],
    ['3pc', 'after.write:3pc/DECIDE', 'committed'],
    ['paxos-commit', 'before.write:paxos-commit/DECIDE', 'committed'],
    ['saga', 'after.write:saga/DECIDE', 'completed'],
  ] as const)('is the real one: %s, coordinator killed at %s', async (protocol, point, outcome) => {
    const [coordinator] = cluster.coordinators;
    const request = requestOf(newCheckout(), protocol);
    const idempotencyKey = randomUUID();
    const one = new ConcordatClient({ url: coordinator!.url, token: cluster.tokens.submit });
    coordinator!.arm(`coordinator.${point}`);
    const first = await one.run(request, { idempotencyKey, waitMs: 10_000 });
    await one.close();
    expect((await coordinator!.death).signal).toBe('SIGKILL');
    expect(['unknown', outcome]).toContain(first.outcome);
    // The other instance has taken over what the dead one had begun.
    expect(await certain(request, idempotencyKey)).toMatchObject({ outcome });
    await coordinator!.start();
    expect(await certain(request, idempotencyKey)).toMatchObject({ outcome });
  }, 60_000);
});

describe('a coordinator that is stopped (SIGSTOP) while another one takes its shards', () => {
  it('breaks nothing when it goes on with what it has in memory, and tells its clients what the other has decided', async () => {
    const [stopped, other] = cluster.coordinators as [(typeof cluster.coordinators)[0], (typeof cluster.coordinators)[0]];
    await eventually('both own shards', async () => expect(new Set(await owners(other!.url))).toEqual(new Set(['coordinator-0', 'coordinator-1'])));
    const { inventory } = cluster.services;
    const ofStopped = new ConcordatClient({ url: stopped!.url, token: cluster.tokens.submit });
    const checkouts = PROTOCOLS.flatMap((protocol) => Array.from({ length: 10 }, () => ({ protocol, checkout: newCheckout() })));
    inventory.pause();
    const waiting = checkouts.map(({ protocol, checkout }) => ofStopped.run(requestOf(checkout, protocol), { waitMs: 60_000 }));
    const ids: Txid[] = [];
    try {
      for (const { checkout } of checkouts) ids.push(await eventually('orders has its branch', async () => (await txidOf(cluster, checkout.orderId)) ?? Promise.reject(new Error('none'))));
      stopped!.pause();
    } finally {
      inventory.resume();
    }
    const outcomes: TransactionOutcome[] = [];
    try {
      await eventually('the other one has all shards', async () => expect(new Set(await owners(other!.url))).toEqual(new Set(['coordinator-1'])));
      for (const id of ids) outcomes.push(await outcomeOf(id, other!.url));
    } finally {
      stopped!.resume();
    }
    const told = await Promise.all(waiting);
    for (const [i, { outcome, id }] of told.entries()) if (outcome !== 'unknown') expect([id, outcome]).toEqual([ids[i], outcomes[i]]);
    for (const [i, id] of ids.entries()) expect(await outcomeOf(id, stopped!.url)).toBe(outcomes[i]);
    await ofStopped.close();
    await Promise.all(PROTOCOLS.map((protocol) => certain(requestOf(newCheckout(), protocol))));
    await cluster.audit(answers);
  }, 120_000);

  async function owners(url: string): Promise<string[]> {
    return (await cluster.call('GET', '/v1/shards', { role: 'read', url })).body.shards.map((shard: { owner: string }) => shard.owner);
  }
});

describe('work that was acknowledged', () => {
  it('survives a kill -9 of every process at once: all of it is there afterwards, and ends', async () => {
    const requests = PROTOCOLS.flatMap((protocol) => Array.from({ length: 25 }, () => requestOf(newCheckout(), protocol)));
    // Nothing can end before.
    cluster.services.inventory.pause();
    const ids = await Promise.all(requests.map((request, i) => begin(request, cluster.coordinators[i % 2]!.url)));
    await Promise.all(cluster.processes().map((process) => process.kill9()));
    await Promise.all(cluster.processes().map((process) => process.start()));
    const outcomes = await Promise.all(ids.map((id) => outcomeOf(id, cluster.url)));
    expect(outcomes).toHaveLength(100);
    await cluster.audit(answers);
  }, 120_000);
});

describe('compensations on real processes, out of order', () => {
  const shuffled = <T>(all: readonly T[]): T[] => all.map((one) => [Math.random(), one] as const).sort(([a], [b]) => a - b).map(([, one]) => one);
  const about = (messages: readonly Message[], txid: Txid): ProtocolMessage[] => messages.filter((m): m is ProtocolMessage => m.kind !== 'ANNOUNCE' && m.txid === txid);
  const reason = { code: 'CANCELLED' };
  let heard: readonly Message[];
  beforeAll(async () => { heard = await inboxes.read('coordinator'); });

  const kindsOf = (txid: Txid): string[] => about(heard, txid).map((message) => message.kind);
  const reserveOf = ({ orderId, sku }: Checkout, txid: Txid) => ({
    execute: { protocol: 'saga', kind: 'EXECUTE', txid, branch: 0, step: 'reserve', stepKind: 'compensatable', operation: 'reserve', payload: { orderId, sku: sku!, quantity: 3 }, inputs: {} },
    compensate: { protocol: 'saga', kind: 'COMPENSATE', txid, branch: 0, step: 'reserve', reason },
  }) as const;
  const newTxid = (i: number): Txid => makeTxid(i % 8, Date.now(), randomBytes(8));

  it('empty and hanging: a compensation without its step does nothing, and the step that comes after it is refused', async () => {
    const checkout = newCheckout();
    const txid = newTxid(1);
    const { execute, compensate } = reserveOf(checkout, txid);
    await inboxes.write('inventory', [compensate, execute, compensate]);
    await eventually('all three are answered', async () => expect(kindsOf(txid)).toEqual(['COMPENSATED', 'REFUSED', 'COMPENSATED']));
    expect(about(heard, txid)[1]).toMatchObject({ reason: { code: 'COMPENSATED_BEFORE_EXECUTE' } });
    expect(await statesOf(cluster, txid)).toEqual(['cancelled']);
    expect(await stockOf(checkout)).toEqual({ available: 1_000_000, moved: 0 });
    await forget([txid]);
  }, 60_000);

  it('a pivot that is cancelled before it comes takes no money when it comes', async () => {
    const { orderId, customerId } = newCheckout();
    const txid = newTxid(2);
    const step = { protocol: 'saga', txid, branch: 0, step: 'debit' } as const;
    await inboxes.write('payments', [{ ...step, kind: 'CANCEL_STEP', reason }, { ...step, kind: 'EXECUTE', stepKind: 'pivot', operation: 'debit', payload: { orderId, customerId: customerId!, amountCents: 5 }, inputs: {} }]);
    await eventually('both are answered', async () => expect(kindsOf(txid)).toEqual(['CANCELLED', 'REFUSED']));
    const { rows } = await cluster.pools.payments.query('SELECT balance_cents::int AS balance FROM account WHERE customer_id = $1', [customerId]);
    expect(rows).toEqual([{ balance: 1_000_000 }]);
    await forget([txid]);
  }, 60_000);

  it('whatever their order and however often they come, nothing is left of a step that was compensated', async () => {
    const checkout = newCheckout();
    const txids = Array.from({ length: 100 }, (_, i) => newTxid(i));
    const messages = shuffled(txids.flatMap((txid) => {
      const { execute, compensate } = reserveOf({ ...checkout, orderId: `o-${txid}` }, txid);
      return [execute, execute, compensate, compensate];
    }));
    await inboxes.write('inventory', messages);
    await eventually('all are answered', async () => { for (const txid of txids) expect(kindsOf(txid)).toHaveLength(4); });
    const states = (await Promise.all(txids.map((txid) => statesOf(cluster, txid)))).flat();
    expect(states).toHaveLength(100);
    // Both ways have been gone.
    expect(new Set(states)).toEqual(new Set(['cancelled', 'compensated']));
    expect(await stockOf(checkout)).toEqual({ available: 1_000_000, moved: 0 });
    await forget(txids);
  }, 60_000);

  it('messages of a saga that has been compensated come again, in any order, and change nothing', async () => {
    const sent = await inboxes.read('inventory');
    const checkout = newCheckout({ amountCents: 2_000_000 });
    const { id, outcome } = await certain(requestOf(checkout, 'saga'));
    expect(outcome).toBe('compensated');
    const txid = id as Txid;
    await eventually('both messages are read', async () => expect(about(sent, txid).map(({ kind }) => kind)).toEqual(['EXECUTE', 'COMPENSATE']));
    const before = kindsOf(txid).length;
    const again = about(sent, txid);
    await inboxes.write('inventory', shuffled([...again, ...again, ...again]));
    await eventually('all are answered', async () => expect(kindsOf(txid).length).toBeGreaterThanOrEqual(before + 6));
    expect(await stockOf(checkout)).toEqual({ available: 1_000_000, moved: 0 });
    await cluster.audit(answers);
  }, 60_000);

  async function stockOf({ sku }: Checkout): Promise<unknown> {
    return (await cluster.pools.inventory.query('SELECT available::int AS available, (SELECT coalesce(sum(quantity), 0)::int FROM stock_movement m WHERE m.sku = s.sku) AS moved FROM stock s WHERE sku = $1', [sku])).rows[0];
  }

  /** Rows of what no coordinator has asked for, which the audit would wonder about. */
  async function forget(txids: readonly Txid[]): Promise<void> {
    for (const name of ['payments', 'inventory'] as const) await cluster.pools[name].query('DELETE FROM concordat_branch WHERE txid = ANY($1)', [txids]);
  }
});
