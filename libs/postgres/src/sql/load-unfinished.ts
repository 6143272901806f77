import type { Txid } from '#libs/protocol';
import type { UnfinishedTransaction } from '#libs/runtime';
import type { Pool } from '../pool.js';
import { STORED_COLUMNS, STORED_JOINS, storedTransaction, type StoredRow } from '../stored-transaction.js';

/** A page of a shard's transactions without END, in txid order. Reads `tx_open` only as far as the page goes. */
export async function loadUnfinished(pool: Pool, shard: number, after: Txid | null, limit: number): Promise<readonly UnfinishedTransaction[]> {
  const { rows } = await pool.query<StoredRow>(`
    WITH page AS MATERIALIZED (
      SELECT txid FROM tx_open WHERE shard = $1 AND txid > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY txid LIMIT $3)
    SELECT ${STORED_COLUMNS} FROM page JOIN tx_begin b ON b.txid = page.txid ${STORED_JOINS} ORDER BY b.txid`, [shard, after, limit]);
  return rows.map((row) => {
    const { begin, register, progress } = storedTransaction(row);
    return { begin, register, progress };
  });
}
