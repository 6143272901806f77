import type { PoolClient } from 'pg';
import { firstUuidAt, timeOfUuid } from '../sql/txid-range.js';
import { partitionName, type TableSet, type TimeRange } from './tables.js';

/**
 * A change of partitions locks the tables against everybody for a moment. It must not wait for its locks for long, because all that comes
 * after it waits behind it; and it gives up before Postgres looks for deadlocks (after 1 s), so that no flush is ever the victim.
 */
const LOCK_TIMEOUT_MS = 100;
const STATEMENT_TIMEOUT_MS = 500;
const ATTEMPTS = 5;

/** Lock not available, statement cancelled by its timeout. */
const GAVE_UP: ReadonlySet<string> = new Set(['55P03', '57014']);

/** The ranges that have partitions, oldest first; all tables of a set have the same. */
export async function listRanges(client: PoolClient, { tables }: TableSet): Promise<readonly TimeRange[]> {
  const { rows } = await client.query<{ bound: string }>(`
    SELECT pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass`, [tables[0]]);
  const ranges = rows.flatMap(({ bound }) => {
    const [, from, to] = /FROM \('(.*)'\) TO \('(.*)'\)/.exec(bound) ?? [];
    return from === undefined ? [] : [{ fromMs: timeOfUuid(from), toMs: timeOfUuid(to!) }];
  });
  return ranges.toSorted((a, b) => a.fromMs - b.fromMs);
}

/** False: the locks could not be had, or the default partition already holds rows of that time, which then stay there. */
export async function createPartitions(client: PoolClient, { tables, storage }: TableSet, range: TimeRange): Promise<'created' | 'postponed' | 'left-to-default'> {
  const bounds = [firstUuidAt(range.fromMs), firstUuidAt(range.toMs)] as const;
  for (const table of tables) {
    const { rows } = await client.query(`SELECT FROM ${table}_default WHERE txid >= $1 AND txid < $2 LIMIT 1`, [...bounds]);
    if (rows.length > 0) return 'left-to-default';
  }
  try {
    return await briefly(client, async () => {
      for (const table of tables) {
        const name = partitionName(table, range);
        // Made beside the table and then attached: that lets inserts into the others go on.
        await client.query(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL) ${storage}`);
        await client.query(`ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${bounds[0]}') TO ('${bounds[1]}')`);
      }
      return true;
    }) === null ? 'postponed' : 'created';
  } catch (error) {
    // A row of that time came between the look and the lock.
    if ((error as { code?: string }).code === '23514') return 'left-to-default';
    throw error;
  }
}

/**
 * Takes the partitions of a range out, if `mayGo` agrees when nobody else can write any more. Dropping them, which takes time with their
 * size, is left to `dropDetached`: by then nobody waits. Null: the locks could not be had.
 */
export async function detachPartitions(client: PoolClient, { tables }: TableSet, range: TimeRange, mayGo: () => Promise<boolean>): Promise<boolean | null> {
  return briefly(client, async () => {
    await client.query(`LOCK TABLE ${tables.map((table) => `ONLY ${table}`).join(', ')} IN ACCESS EXCLUSIVE MODE`);
    if (!(await mayGo())) return false;
    for (const table of tables) await client.query(`ALTER TABLE ${table} DETACH PARTITION ${partitionName(table, range)}`);
    return true;
  });
}

/** Drops what was detached, by this run or by one that was killed in between. */
export async function dropDetached(client: PoolClient, { tables }: TableSet): Promise<void> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT c.relname AS name FROM pg_class c
     WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = $1::regclass) AND c.relkind = 'r' AND NOT c.relispartition
       AND c.relname ~ ('^(' || array_to_string($2::text[], '|') || ')_[0-9]{17}$')`, [tables[0], tables]);
  for (const { name } of rows) await briefly(client, () => client.query(`DROP TABLE ${name}`));
}

/** One database transaction with short patience, tried some times. Null: gave up. */
async function briefly<T>(client: PoolClient, work: () => Promise<T>): Promise<T | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
      const result = await work();
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      if (!GAVE_UP.has((error as { code?: string }).code ?? '')) throw error;
      if (attempt === ATTEMPTS) return null;
      await new Promise((resolve) => { setTimeout(resolve, (0.5 + Math.random()) * 2 * LOCK_TIMEOUT_MS); });
    }
  }
}
