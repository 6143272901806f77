import type { Txid } from '#libs/protocol';
import type { Pool } from '../pool.js';

/** Who has these keys; those that nobody has are left out. */
export async function idempotencyKeys(pool: Pool, keys: readonly string[]): Promise<ReadonlyMap<string, { readonly txid: Txid; readonly requestHash: string }>> {
  const { rows } = await pool.query<{ key: string; txid: Txid; requestHash: string }>(
    'SELECT key, txid, request_hash AS "requestHash" FROM idempotency_key WHERE key = ANY ($1::text[])', [keys]);
  return new Map(rows.map(({ key, ...holder }) => [key, holder]));
}
