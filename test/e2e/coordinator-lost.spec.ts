import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ConcordatClient, type Result, type TransactionRequest } from '#libs/client';
import type { TransactionOutcome, Txid } from '#libs/protocol';
import { type CheckoutOptions, checkoutRequest } from '../support/checkout.js';
import { Cluster, type ParticipantName } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.js';
import { branchesOf, effectsOf, locksIn, statesOf, touchRows, txidOf } from '../support/shop-tables.js';

// The coordinator is killed at the votes, and its database with it. All settings but one are the defaults: 2pc asks sooner.

type Checkout = CheckoutOptions & { readonly orderId: string };

let database: OwnPostgres;
let cluster: Cluster;
let client: ConcordatClient;
const answers = new Map<Txid, TransactionOutcome>();
const table: Readonly<Record<string, string>>[] = [];

beforeAll(async () => {
  database = await startOwnPostgres();
  cluster = await Cluster.start({
    adminUrl: process.env.PG_ADMIN_URL!, adminUrls: { coordinator: database.adminUrl }, brokers: process.env.KAFKA_BROKERS!, crashPoints: true, env: { INQUIRE_AFTER_MS: '100' },
  });
  client = new ConcordatClient({ url: cluster.url, token: cluster.tokens.submit });
}, 120_000);
afterEach(async () => { if (!cluster.coordinators[0]!.alive) await comeBack(); }, 60_000);
afterAll(async () => {
  console.info(`The coordinator is killed at the votes and its database is stopped:\n${inColumns(table)}`);
  await client?.close();
  await cluster?.stop();
  await database?.remove();
}, 60_000);

let customers = 0;
/** Of a customer and a SKU of its own, so that what it holds can be read off their rows. */
function newCheckout(over: CheckoutOptions = {}): Checkout {
  customers += 1;
  return { orderId: `o-${randomUUID()}`, customerId: `c-${customers}`, sku: `s-${customers}`, quantity: 1, amountCents: 1_000, ...over };
}

interface Lost {
  readonly txid: Txid;
  readonly diedAtMs: number;
  readonly request: TransactionRequest;
  readonly idempotencyKey: string;
  /** What the client has heard before the coordinator died. */
  readonly told: Result['outcome'];
}

/** The coordinator kills itself at the point, for good, and its database is killed at once. */
async function loseCoordinator(point: string, checkout: Checkout, request: TransactionRequest): Promise<Lost> {
  const coordinator = cluster.coordinators[0]!;
  const idempotencyKey = randomUUID();
  coordinator.arm(point);
  const asked = client.run(request, { idempotencyKey, waitMs: 30_000 });
  const { signal } = await coordinator.death;
  const diedAtMs = Date.now();
  await database.server.kill9();
  expect([signal, coordinator.armed]).toEqual(['SIGKILL', false]);
  const { outcome: told } = await asked;
  const txid = await eventually('orders has its branch', async () => (await txidOf(cluster, checkout.orderId)) ?? Promise.reject(new Error('none')));
  return { txid, diedAtMs, request, idempotencyKey, told };
}

async function comeBack(): Promise<number> {
  await database.server.start();
  const sinceMs = Date.now();
  await cluster.coordinators[0]!.start();
  return sinceMs;
}

/** The client sends the same request again under the same key: what it is told must be what has happened, and what it was told before. */
async function askAgain({ request, idempotencyKey, txid, told }: Lost): Promise<Exclude<Result, { outcome: 'unknown' }>> {
  const result = await client.run(request, { idempotencyKey, waitMs: 30_000 });
  if (result.outcome === 'unknown') throw result.cause;
  expect(result.id).toBe(txid);
  if (told !== 'unknown') expect(result.outcome).toBe(told);
  answers.set(txid, result.outcome);
  return result;
}

const inDoubtAt = async (name: ParticipantName, txid: string): Promise<{ ageMs: number; blocked: boolean; protocol: string } | undefined> => {
  const { body } = await cluster.call('GET', '/v1/branches/in-doubt', { role: 'read', url: cluster.services[name].url });
  return body.branches.find((branch: any) => branch.txid === txid);
};

const SITES: readonly ParticipantName[] = ['orders', 'payments', 'inventory'];
const COMMITTED = { order: 'confirmed', held: 0, paid: 1_000, reserved: 0, moved: 1 };
const NOTHING = { held: 0, paid: 0, reserved: 0, moved: 0 };

describe.each([
  ['3pc', 'nobody pre-committed', 'coordinator.before.write:3pc/STATE', 'aborted', { ...NOTHING, order: 'rejected' }],
  ['3pc', 'PRE_COMMIT sent', 'coordinator.after.send:3pc/PRE_COMMIT', 'committed', COMMITTED],
  ['paxos-commit', 'coordinator has heard nothing', 'coordinator.after.send:paxos-commit/PREPARE', 'committed', COMMITTED],
  ['paxos-commit', 'decided, COMMIT not sent', 'coordinator.before.send:paxos-commit/COMMIT', 'committed', COMMITTED],
] as const)('%s, all votes there, %s', (protocol, moment, point, outcome, effects) => {
  it(`the participants end it by themselves: ${outcome}`, async () => {
    const checkout = newCheckout();
    const lost = await loseCoordinator(point, checkout, checkoutRequest(checkout, protocol));
    await eventually('no branch waits any more', async () => expect(await statesOf(cluster, lost.txid)).toEqual([outcome, outcome, outcome]));
    const tookMs = Math.max(...(await branchesOf(cluster, lost.txid)).map(({ atMs }) => atMs)) - lost.diedAtMs;

    expect(await effectsOf(cluster, checkout)).toEqual(effects);
    for (const site of SITES) await eventually(`${site} waits for nothing`, async () => expect(await inDoubtAt(site, lost.txid)).toBeUndefined());
    expect(cluster.coordinators[0]!.alive).toBe(false);
    await expect(cluster.pools.coordinator.query('SELECT 1')).rejects.toThrow();

    const backAtMs = await comeBack();
    expect(await askAgain(lost)).toMatchObject({ outcome });
    await cluster.audit(answers);
    note(protocol, moment, `${outcome} by the participants`, tookMs, Date.now() - backAtMs);
  }, 120_000);
});

describe('2pc, all votes there, nothing decided', () => {
  it('all branches stay prepared, hold their reservations and no lock, say so, and end when the coordinator is back', async () => {
    const checkout = newCheckout();
    const lost = await loseCoordinator('coordinator.before.write:2pc/DECIDE', checkout, checkoutRequest(checkout));

    const first = await Promise.all(SITES.map((site) => eventually(`${site} tells of its doubt`, async () => (await inDoubtAt(site, lost.txid)) ?? Promise.reject(new Error('none')))));
    await eventually('every branch has asked everybody, and says that it is blocked', async () => {
      for (const site of SITES) expect(await inDoubtAt(site, lost.txid)).toMatchObject({ protocol: '2pc', blocked: true });
    });
    const blockedMs = Date.now() - lost.diedAtMs;
    for (const [i, site] of SITES.entries()) expect((await inDoubtAt(site, lost.txid))!.ageMs).toBeGreaterThan(first[i]!.ageMs);

    expect(await statesOf(cluster, lost.txid)).toEqual(['prepared', 'prepared', 'prepared']);
    expect(await effectsOf(cluster, checkout)).toEqual({ order: 'pending', held: 1_000, paid: 0, reserved: 1, moved: 0 });
    await eventually('no lock is held', async () => expect(await locksIn(cluster)).toEqual([]));
    await touchRows(cluster, checkout);
    await anotherOrder(checkout);

    const backAtMs = await comeBack();
    expect(lost.told).toBe('unknown');
    expect(await askAgain(lost)).toMatchObject({ outcome: 'aborted', reason: { code: 'COORDINATOR_RECOVERED' } });
    await cluster.audit(answers);
    expect(await effectsOf(cluster, checkout)).toEqual({ ...NOTHING, order: 'rejected' });
    note('2pc', 'not decided', `stays prepared; blocked is told after ${seconds(blockedMs)}`, null, Date.now() - backAtMs);
  }, 120_000);
});

/** What the shop does for another order of the same customer and the same goods, by hand: no coordinator is there to ask for it. All but what is held is free. */
async function anotherOrder({ customerId, sku }: Checkout): Promise<void> {
  for (const [name, sql, key, most] of [
    ['payments', 'UPDATE account SET balance_cents = balance_cents - $2::bigint, held_cents = held_cents + $2::bigint WHERE customer_id = $1', customerId, 999_000],
    ['inventory', 'UPDATE stock SET available = available - $2::bigint, reserved = reserved + $2::bigint WHERE sku = $1', sku, 999_999],
  ] as const) {
    const pool = cluster.pools[name];
    await pool.query(sql, [key, most]);
    await expect(pool.query(sql, [key, 1])).rejects.toThrow(/check constraint/);
    await pool.query(sql, [key, -most]);
  }
}

describe.each([
  ['that can go on', 1_000, 'completed', { ...COMMITTED }],
  ['whose next step is refused', 2_000_000, 'compensated', { ...NOTHING, order: 'rejected' }],
] as const)('a saga between two steps, %s', (which, amountCents, outcome, effects) => {
  it(`keeps what its steps have done, and is ${outcome} when the coordinator is back`, async () => {
    const checkout = newCheckout({ amountCents });
    const lost = await loseCoordinator('coordinator.before.send:saga/EXECUTE#2', checkout, checkoutRequest(checkout, 'saga'));
    expect(await branchesOf(cluster, lost.txid)).toMatchObject([{ participant: 'orders', state: 'executed' }, { participant: 'inventory', state: 'executed' }]);
    expect(await effectsOf(cluster, checkout)).toEqual({ order: 'pending', held: 0, paid: 0, reserved: 0, moved: 1 });
    for (const site of SITES) expect(await inDoubtAt(site, lost.txid)).toBeUndefined();
    await eventually('no lock is held', async () => expect(await locksIn(cluster)).toEqual([]));
    await touchRows(cluster, checkout);

    const backAtMs = await comeBack();
    expect(await askAgain(lost)).toMatchObject({ outcome });
    await cluster.audit(answers);
    expect(await effectsOf(cluster, checkout)).toEqual(effects);
    note('saga', `before debit, ${which}`, `steps stay; ${outcome} afterwards`, null, Date.now() - backAtMs);
  }, 120_000);
});

describe('a coordinator whose database alone is gone', () => {
  it('decides what was begun with paxos-commit and answers; the others are decided when the database is back', async () => {
    const inventory = cluster.services.inventory;
    const checkouts = Array.from({ length: 10 }, () => newCheckout());
    const others = (['2pc', '3pc'] as const).map((protocol) => ({ protocol, checkout: newCheckout() }));
    inventory.pause();
    const run = (checkout: Checkout, protocol: '2pc' | '3pc' | 'paxos-commit'): Promise<Result> => client.run(checkoutRequest(checkout, protocol), { waitMs: 30_000 });
    const asked = checkouts.map((checkout) => run(checkout, 'paxos-commit'));
    let answered = 0;
    const waiting = others.map(({ protocol, checkout }) => run(checkout, protocol).finally(() => { answered += 1; }));
    try {
      await eventually('orders and payments have voted', async () => {
        for (const { orderId } of [...checkouts, ...others.map(({ checkout }) => checkout)]) expect(await statesOf(cluster, (await txidOf(cluster, orderId))!)).toEqual(['prepared', 'prepared']);
      });
      await database.server.kill9();
    } finally {
      inventory.resume();
    }
    const resumedAtMs = Date.now();
    const results = await Promise.all(asked);
    const tookMs = Date.now() - resumedAtMs;
    expect(results.map(({ outcome }) => outcome)).toEqual(checkouts.map(() => 'committed'));
    for (const checkout of checkouts) await eventually('it is done everywhere', async () => expect(await effectsOf(cluster, checkout)).toEqual(COMMITTED));
    await expect(cluster.pools.coordinator.query('SELECT 1')).rejects.toThrow();
    expect(answered).toBe(0);

    await database.server.start();
    for (const result of [...results, ...await Promise.all(waiting)]) if (result.outcome !== 'unknown') answers.set(result.id as Txid, result.outcome);
    await cluster.audit(answers);
    note('paxos-commit', 'coordinator lives, database gone', 'decided, clients answered', tookMs, null);
  }, 120_000);
});

function note(protocol: string, moment: string, what: string, withoutMs: number | null, backMs: number | null): void {
  table.push({ protocol, moment, 'without the coordinator': what, 'ended after': withoutMs === null ? '-' : seconds(withoutMs), 'once it is back': backMs === null ? '-' : seconds(backMs) });
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function inColumns(rows: readonly Readonly<Record<string, string>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => row[name]!.length)));
  const line = (cells: readonly string[]): string => cells.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd();
  return [line(names), ...rows.map((row) => line(names.map((name) => row[name]!)))].join('\n');
}
