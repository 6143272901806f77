import { jest } from '@jest/globals';
import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';
import { createPool, seedShop } from '#libs/postgres';
import { InventoryParticipant, PaymentsParticipant } from '#libs/shop';
import { eventually } from '../support/eventually.js';
import { freshDatabase, type Pool, waitingForLock } from '../support/store.js';

jest.setTimeout(60_000);

const SHOPS = [
  { role: 'inventory', table: 'stock', key: 'sku', letter: 's', handlers: new InventoryParticipant() },
  { role: 'payments', table: 'account', key: 'customer_id', letter: 'c', handlers: new PaymentsParticipant() },
] as const;

interface Handlers {
  lock(calls: readonly unknown[], manager: EntityManager): Promise<void>;
}

describe.each(SHOPS)('batches of $role', ({ role, table, key, letter, handlers }) => {
  let pool: Pool;
  const open: PoolClient[] = [];

  beforeAll(async () => {
    pool = createPool(await freshDatabase(role), { max: 6, applicationName: 'shop-locks-spec' });
    await seedShop(role, (sql) => pool.query(sql));
  });

  afterEach(async () => {
    for (const client of open.splice(0)) {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  afterAll(async () => { await pool.end(); });

  const begin = async (): Promise<PoolClient> => {
    const client = await pool.connect();
    open.push(client);
    await client.query('BEGIN');
    return client;
  };
  const lock = (client: PoolClient, ...numbers: number[]): Promise<void> => (handlers as Handlers).lock(
    numbers.map((n) => ({ payload: { sku: `${letter}-${n}`, customerId: `${letter}-${n}` } })),
    { query: (sql: string, values: unknown[]) => client.query(sql, values) } as unknown as EntityManager,
  );
  const isFree = async (n: number): Promise<boolean> => (await pool.query(`SELECT FROM ${table} WHERE ${key} = $1 FOR UPDATE SKIP LOCKED`, [`${letter}-${n}`])).rowCount === 1;

  it('that meet nobody lock no rows beforehand', async () => {
    await lock(await begin(), 1, 2);
    expect([await isFree(1), await isFree(2)]).toEqual([true, true]);
  });

  it('that come second wait for the first one, whatever their rows, and then lock theirs', async () => {
    const [first, second] = [await begin(), await begin()];
    await lock(first, 1, 2);
    let locked = false;
    const waiting = lock(second, 3, 4).then(() => { locked = true; });
    await waitingForLock(pool, null);
    expect(locked).toBe(false);
    await first.query('COMMIT');
    await waiting;
    expect([await isFree(1), await isFree(3), await isFree(4)]).toEqual([true, false, false]);
  });

  it('that have waited run beside each other, and wait for rows only', async () => {
    const [first, second, third, fourth] = [await begin(), await begin(), await begin(), await begin()];
    await lock(first, 1);
    const others = [lock(second, 4, 3), lock(third, 5, 6)];
    await eventually('both wait', async () => {
      const { rows } = await pool.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'");
      expect(rows).toHaveLength(2);
    }, 10_000);
    await first.query('COMMIT');
    await Promise.all(others);
    // The fourth finds the gate shared: it must not take it for its own, and locks what is free in key order until it meets the second's.
    const waiting = lock(fourth, 4, 2);
    await waitingForLock(pool, null);
    expect([await isFree(2), await isFree(4), await isFree(5)]).toEqual([false, false, false]);
    await second.query('COMMIT');
    await waiting;
  });
});
