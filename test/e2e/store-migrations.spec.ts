import fs from 'node:fs';
import { jest } from '@jest/globals';
import { createPool, migrate, migrationStatus, revertLast, seedShop } from '#libs/postgres';
import { MIGRATIONS } from '../../migrations/index.js';
import { freshDatabase, unusedDatabase } from '../support/store.js';

jest.setTimeout(60_000);

describe('migrations', () => {
  it('create and fill a missing database once, however many call at the same time', async () => {
    const url = unusedDatabase();
    const reports = await Promise.all(Array.from({ length: 5 }, () => migrate(url, 'payments')));
    expect(reports.filter((r) => r.created)).toHaveLength(1);
    expect(reports.flatMap((r) => r.applied)).toEqual(['Branch0000000000001', 'Accounts0000000000001']);
    expect(await migrate(url, 'payments')).toMatchObject({ created: false, applied: [] });
  });

  it('are all listed, in the order of their numbers', () => {
    for (const [set, classes] of Object.entries(MIGRATIONS)) {
      const numbers = fs.readdirSync(`migrations/${set}`).map((file) => Number(/^(\d{4})-[a-z-]+\.ts$/.exec(file)?.[1]));
      expect(classes.map((migration) => Number(new migration().name!.slice(-13)))).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  it('seed the shop once, however many do it', async () => {
    const pool = createPool(await freshDatabase('payments'), { max: 4, applicationName: 'seed-spec' });
    await Promise.all([1, 2, 3].map(() => seedShop('payments', (sql) => pool.query(sql))));
    await pool.query("UPDATE account SET balance_cents = 5 WHERE customer_id = 'c-1'");
    await seedShop('payments', (sql) => pool.query(sql));
    const { rows } = await pool.query('SELECT count(*)::int AS n, sum(balance_cents)::text AS cents, min(balance_cents)::text AS least FROM account');
    await pool.end();
    expect(rows).toEqual([{ n: 10_000, cents: '9999000005', least: '5' }]);
  });

  it.each(['coordinator', 'participant', 'orders', 'payments', 'inventory', 'extra'] as const)('of %s can be taken back to nothing and applied again', async (role) => {
    const url = unusedDatabase();
    expect((await migrationStatus(url, role)).every((m) => !m.applied)).toBe(true);
    const { applied } = await migrate(url, role);
    expect((await migrationStatus(url, role)).map((m) => m.name)).toEqual(applied);
    const reverted: string[] = [];
    for (let name = await revertLast(url, role); name !== null; name = await revertLast(url, role)) reverted.push(name);
    expect(reverted).toEqual(applied.toReversed());
    expect((await migrate(url, role)).applied).toEqual(applied);
  });

  it('say which part of a database URL is wrong', async () => {
    await expect(migrate('localhost/shop', 'orders')).rejects.toMatchObject({ code: 'INVALID_DATABASE_URL' });
    await expect(migrate(new URL('/', process.env.PG_ADMIN_URL).href, 'orders')).rejects.toMatchObject({ code: 'INVALID_DATABASE_URL', message: expect.stringContaining('names no database') });
  });
});
