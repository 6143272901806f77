import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createPool, PgCoordinatorStore } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import { inOneStatement, openMonolith } from '../../apps/loadtest/src/monolith.js';
import { auditExtras, auditMonolith, auditShop, type Told, untilAtRest, untilItHolds } from '../../tools/load/audit.ts';
import { WindowedDatabase } from '../../tools/load/audit-window.ts';
import type { AuditCheck, RunReport } from '../../tools/load/report-types.ts';
import type { OwnStack } from '../../tools/load/stack.ts';
import { orderPrefixAt, wholeAudited, windowedStack } from '../../tools/load/windowed-stack.ts';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { batch, begin, BRANCHES, decide, end, freshDatabase, newTxid, type Pool } from '../support/store.js';

const never = new AbortController().signal;
const broken = (checks: readonly AuditCheck[]): readonly string[] => checks.filter(({ holds }) => !holds).map(({ name, detail }) => `${name}: ${detail}`);
const poolOf = (url: string): Pool => createPool(url, { max: 2, applicationName: 'load-audit-spec' });

describe('the audit of a participant beyond the three', () => {
  const ids = { committed: newTxid(0), aborted: newTxid(0), other: newTxid(0) };
  const hold = { participant: 'extra-1', operation: 'hold', payload: { orderId: 'o-1', key: 'k-1', amount: 2 } };
  let coordinator: Pool;
  let extra: Pool;

  beforeAll(async () => {
    [coordinator, extra] = [poolOf(await freshDatabase('coordinator')), poolOf(await freshDatabase('extra'))];
    const store = new PgCoordinatorStore(coordinator);
    const epochs = await store.acquireShards([0], 'me');
    await store.flush(batch(epochs, {
      begins: [begin(ids.committed, { branches: [...BRANCHES, hold] }), begin(ids.aborted, { branches: [hold, ...BRANCHES] }), begin(ids.other)],
      decisions: [decide(ids.committed, 'COMMIT'), decide(ids.aborted, 'ABORT'), decide(ids.other, 'COMMIT')],
    }));
    await store.flush(batch(epochs, { ends: [end(ids.committed, 'committed'), end(ids.aborted, 'aborted', { code: 'OUT_OF_STOCK', participant: 'orders' }), end(ids.other, 'committed')] }));
    await insert(ids.committed, 2, 'committed');
    await insert(ids.aborted, 0, 'aborted');
    await extra.query("UPDATE supply SET available = available - 2 WHERE key = 'k-1'; INSERT INTO supply_movement VALUES ('o-1', 'k-1', 2)");
  }, 60_000);
  afterAll(() => Promise.all([coordinator?.end(), extra?.end()]));

  const insert = (txid: Txid, branch: number, state: string): Promise<unknown> => extra.query(`
    INSERT INTO concordat_branch (txid, branch, protocol, state, one_phase, operation, payload, peers, updated_at) VALUES ($1, $2, '2pc', $3, false, 'hold', '{}', '{}', now())`, [txid, branch, state]);
  const audit = (): Promise<readonly AuditCheck[]> => auditExtras(coordinator, new Map([['extra-1', extra]]));

  it('holds where it has done what was decided, and of others nothing', async () => {
    const checks = await audit();
    expect([broken(checks), checks.map(({ name }) => name)]).toEqual([[], ['extra-1 follows the decisions', "extra-1's supply is conserved"]]);
  });

  it.each([
    ['a hold that is missing', "DELETE FROM concordat_branch WHERE txid = '<committed>'", 'extra-1 follows the decisions: <committed> committed, branch 2 is not there'],
    ['a hold that was not let go', "UPDATE concordat_branch SET state = 'prepared' WHERE txid = '<aborted>'", 'extra-1 follows the decisions: <aborted> aborted, branch 0 is prepared'],
    ['a hold at another place than was asked for', "UPDATE concordat_branch SET branch = 1 WHERE txid = '<aborted>'", 'extra-1 follows the decisions: <aborted> 1 was not asked for'],
    ['a hold of a transaction that did not ask for it', "UPDATE concordat_branch SET txid = '<other>', branch = 0 WHERE txid = '<aborted>'", 'extra-1 follows the decisions: <other> 0 was not asked for'],
    ['what was moved out without an entry', 'DELETE FROM supply_movement', "extra-1's supply is conserved: free and moved come to 9999999998, held 0, the seed was 10000000000"],
    ['what was moved out twice', "INSERT INTO supply_movement VALUES ('o-1', 'k-1', 2)", "extra-1's supply is conserved: free and moved come to 10000000002, held 0, the seed was 10000000000"],
    ['what is still held', "UPDATE supply SET available = available - 1, held = 1 WHERE key = 'k-2'", "extra-1's supply is conserved: free and moved come to 9999999999, held 1, the seed was 10000000000"],
  ])('finds %s', async (_, sql, found) => {
    const named = (text: string): string => text.replaceAll(/<(\w+)>/g, (__, name: keyof typeof ids) => ids[name]);
    const client = await extra.connect();
    try {
      await client.query('BEGIN');
      await client.query(named(sql));
      expect(broken(await auditExtras(coordinator, new Map([['extra-1', client as unknown as Pool]])))).toEqual([named(found)]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it('finds a transaction that has not ended', async () => {
    const txid = newTxid(0);
    const store = new PgCoordinatorStore(coordinator);
    await store.flush(batch(await store.acquireShards([0], 'me'), { begins: [begin(txid, { branches: [hold] })] }));
    expect(broken(await audit())).toEqual([`extra-1 follows the decisions: ${txid} has not ended, branch 0 is not there`]);
  });
});

describe('the window of a monolith', () => {
  let monolith: Pool;
  let window: WindowedDatabase;
  beforeAll(async () => {
    const url = await freshDatabase('participant');
    window = new WindowedDatabase(url, 'monolith', poolOf);
    await window.advance(null, orderPrefixAt(1));
    monolith = await openMonolith(url, 2) as Pool;
  }, 60_000);
  afterAll(() => Promise.all([monolith?.end(), window?.pool.end()]));

  const order = (id: string): Promise<unknown> => inOneStatement(monolith, { orderId: id, customerId: 'c-1', sku: 's-1', quantity: 2, amountCents: 3 });
  const orders = (checks: readonly AuditCheck[]): string => checks.at(-1)!.detail;
  const seen = (): Promise<readonly AuditCheck[]> => auditMonolith(window.pool, { idPrefix: '', committed: 0 });

  it('shows what came after the last audit, and sums that are of everything', async () => {
    const marks = [2, 3].map((ms) => orderPrefixAt(1_800_000_000_000 + ms)) as [string, string];
    await order(`${orderPrefixAt(1_800_000_000_001)}a-0`);
    expect([broken(await seen()), orders(await seen())]).toEqual([[], expect.stringMatching(/^1 orders/)]);
    await window.advance(null, marks[0]);
    expect([broken(await seen()), orders(await seen())]).toEqual([[], expect.stringMatching(/^0 orders/)]);
    await order(`${marks[0]}b-0`);
    await order(`${marks[0]}b-1`);
    expect([broken(await seen()), orders(await seen())]).toEqual([[], expect.stringMatching(/^2 orders/)]);
    await window.advance(null, marks[1]);
    expect([broken(await seen()), orders(await seen())]).toEqual([[], expect.stringMatching(/^0 orders/)]);
    await monolith.query("UPDATE stock SET available = available - 1 WHERE sku = 's-7'");
    expect(broken(await seen())).toEqual([expect.stringMatching(/^stock is conserved/)]);
    await monolith.query("UPDATE stock SET available = available + 1 WHERE sku = 's-7'");
  });
});

describe('a stack of several runs', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS! });
  }, 120_000);
  afterAll(() => cluster?.stop(), 60_000);

  it('is audited by what each run wrote, and in the end as a whole: what only that finds makes all runs void', async () => {
    const urls = Object.fromEntries(Object.entries(cluster.pools).map(([name, pool]) => [name, (pool.options as { connectionString?: string }).connectionString!]));
    const cleanup: (() => Promise<void>)[] = [];
    const stack = windowedStack({ databases: cluster.pools, databaseUrls: urls, extras: new Map(), extraUrls: new Map(), monolith: null } as unknown as OwnStack, cleanup);
    const coordinator = stack.databases!.coordinator;
    const run = async (): Promise<{ readonly id: string; readonly orderId: string }> => {
      const orderId = `${orderPrefixAt(Date.now())}x-0`;
      const { body } = await cluster.call('POST', '/v1/transactions', { role: 'submit', body: checkoutRequest({ orderId }), headers: { prefer: 'wait=10', 'idempotency-key': orderId } });
      return { id: body.id, orderId };
    };
    const audit = async (told: Told, limitMs = 30_000): Promise<readonly AuditCheck[]> => {
      await untilAtRest(stack.databases!, stack.extras, limitMs, never);
      return untilItHolds(() => auditShop(stack.databases!, stack.extras, told), limitMs, never);
    };
    const begun = async (): Promise<number> => (await coordinator.query<{ n: number }>('SELECT count(*)::int AS n FROM tx_begin')).rows[0]!.n;
    try {
      const first = await run();
      expect(broken(await audit([[first.id, 'committed']]))).toEqual([]);
      await stack.window!.advance('shop');
      expect(await begun()).toBe(0);

      const second = await run();
      expect(await begun()).toBe(1);
      expect(broken(await audit([[second.id, 'committed']]))).toEqual([]);
      const runs = [{ audit: [], settings: { way: 'sdk' } }, { audit: [], settings: { way: 'sdk' } }] as unknown as readonly RunReport[];
      expect((await wholeAudited(runs, stack)).map((each) => each.audit.length)).toEqual([0, 0]);
      await stack.window!.advance('shop');

      await cluster.pools.payments.query('UPDATE account SET balance_cents = balance_cents + 1 WHERE customer_id = $1', ['c-9']);
      expect(broken(await audit([], 0))).toEqual([expect.stringMatching(/^money is conserved/)]);
      await cluster.pools.payments.query('UPDATE account SET balance_cents = balance_cents - 1 WHERE customer_id = $1', ['c-9']);

      const whole = await wholeAudited(runs, stack);
      expect([whole[0]!.audit, broken(whole[1]!.audit), whole[1]!.audit.length > 5]).toEqual([[], [], true]);
      await cluster.pools.inventory.query('UPDATE stock_movement SET quantity = 2 WHERE order_id = $1', [first.orderId]);
      expect(broken(await audit([], 0))).toEqual([]);
      for (const { audit: checks } of await wholeAudited(runs, stack)) expect(broken(checks)).toContainEqual(expect.stringMatching(/^of all runs: orders, ledger and stock movements tell the same: 1: .*paid 1000, taken 2/));
    } finally {
      for (const undo of cleanup) await undo();
    }
  }, 90_000);
});
