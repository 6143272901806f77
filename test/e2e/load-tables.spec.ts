import { jest } from '@jest/globals';
import type { BranchCall } from '#libs/participant';
import { DataSource } from 'typeorm';
import { type Hold, HoldHandlers } from '../../apps/loadtest/src/extra/hold-handlers.js';
import { inOneStatement, inStatements, openMonolith, type Pool } from '../../apps/loadtest/src/monolith.js';
import { freshDatabase } from '../support/store.js';

jest.setTimeout(60_000);

const CHECKOUT = { customerId: 'c-1', sku: 's-1', quantity: 1, amountCents: 1 };

/** What there is of money, stock and rows: [cents of all, pieces of all, orders, ledger entries, movements]. */
async function books(pool: Pool): Promise<readonly number[]> {
  const { rows } = await pool.query(`SELECT (SELECT sum(balance_cents) FROM account)::float8 AS a, (SELECT sum(available) FROM stock)::float8 AS b,
    (SELECT count(*) FROM orders)::int AS c, (SELECT count(*) FROM ledger_entry)::int AS d, (SELECT count(*) FROM stock_movement)::int AS e`);
  return Object.values(rows[0] as Record<string, number>);
}

describe.each([['in statements', inStatements], ['in one statement', inOneStatement]] as const)('the checkout of the monolith %s', (_name, write) => {
  let pool: Pool;
  beforeAll(async () => {
    // The database of a template with other tables, which do not matter here.
    const url = await freshDatabase('participant');
    const opened = await Promise.all(Array.from({ length: 4 }, () => openMonolith(url, 8)));
    pool = opened[0]!;
    await Promise.all(opened.slice(1).map((other) => other.end()));
    await pool.query("UPDATE account SET balance_cents = 0 WHERE customer_id = 'c-2'; UPDATE stock SET available = 0 WHERE sku = 's-2'; UPDATE stock SET available = 20 WHERE sku = 's-3'");
  });
  afterAll(() => pool.end());

  it('has its whole effect', async () => {
    const [money, stock, ...rows] = await books(pool);
    expect(await write(pool, { ...CHECKOUT, orderId: 'whole' })).toEqual({ committed: true, reason: null });
    expect(await books(pool)).toEqual([money! - 1, stock! - 1, ...rows.map((count) => count + 1)]);
  });

  it.each([
    ['funds', { customerId: 'c-2' }, 'INSUFFICIENT_FUNDS'], ['a customer', { customerId: 'c-none' }, 'INSUFFICIENT_FUNDS'],
    ['stock', { sku: 's-2' }, 'OUT_OF_STOCK'], ['an SKU', { sku: 's-none' }, 'OUT_OF_STOCK'], ['either', { customerId: 'c-2', sku: 's-2' }, 'INSUFFICIENT_FUNDS'],
  ])('has no effect without %s', async (what, change, reason) => {
    const before = await books(pool);
    expect(await write(pool, { ...CHECKOUT, ...change, orderId: `without ${what}` })).toEqual({ committed: false, reason });
    expect(await books(pool)).toEqual(before);
  });

  it('has no effect a second time', async () => {
    await write(pool, { ...CHECKOUT, orderId: 'twice' });
    const before = await books(pool);
    expect(await write(pool, { ...CHECKOUT, orderId: 'twice' })).toEqual({ committed: false, reason: 'SQLSTATE_23505' });
    expect(await books(pool)).toEqual(before);
  });

  it('sells of what many want at once no more than there is', async () => {
    const [money, stock, ...rows] = await books(pool);
    const outcomes = await Promise.all(Array.from({ length: 60 }, (_, i) => write(pool, { ...CHECKOUT, sku: 's-3', orderId: `hot-${i}` })));
    expect(outcomes.filter(({ committed }) => committed)).toHaveLength(20);
    expect(new Set(outcomes.map(({ reason }) => reason))).toEqual(new Set([null, 'OUT_OF_STOCK']));
    expect(await books(pool)).toEqual([money! - 20, stock! - 20, ...rows.map((count) => count + 20)]);
  });
});

describe('the tables of an extra participant', () => {
  class Handlers extends HoldHandlers {}
  const handlers = new Handlers();
  const call = (orderId: string, key: string, amount: number): BranchCall<Hold> => ({ payload: { orderId, key, amount } }) as BranchCall<Hold>;
  let source: DataSource;
  beforeAll(async () => {
    source = await new DataSource({ type: 'postgres', url: await freshDatabase('extra'), installExtensions: false }).initialize();
  });
  afterAll(() => source.destroy());

  const supply = async (key: string): Promise<readonly number[]> => {
    const [row] = await source.query(`SELECT available::int, held::int, (SELECT coalesce(sum(amount), 0)::int FROM supply_movement m WHERE m.key = s.key) AS moved FROM supply s WHERE key = $1`, [key]);
    return Object.values(row as Record<string, number>);
  };

  it('hold what is prepared, and let it go or give it back', async () => {
    const calls = [call('o-1', 'k-1', 2), call('o-2', 'k-1', 3)];
    await source.transaction((manager) => handlers.prepare(calls, manager));
    expect(await supply('k-1')).toEqual([999_995, 5, 0]);
    await source.transaction((manager) => handlers.commit(calls.slice(0, 1), manager));
    await source.transaction((manager) => handlers.abort(calls.slice(1), manager));
    expect(await supply('k-1')).toEqual([999_998, 0, 2]);
  });

  it('are as before when a step has been compensated, with both entries', async () => {
    const steps = [call('o-3', 'k-2', 4), call('o-4', 'k-none', 1)];
    expect((await source.transaction((manager) => handlers.take(steps, manager))).map((said) => said.vote)).toEqual(['yes', 'no']);
    expect(await supply('k-2')).toEqual([999_996, 0, 4]);
    await source.transaction((manager) => handlers.putBack(steps.slice(0, 1), manager));
    expect(await supply('k-2')).toEqual([1_000_000, 0, 0]);
  });
});
