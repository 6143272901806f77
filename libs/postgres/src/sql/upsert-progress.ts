import { shardOf } from '#libs/protocol';
import type { ProgressRow, ShardEpoch } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { json } from './encode.js';

/**
 * What unfinished transactions must remember; the last of rows with the same key counts. Only of open ones: a flush that is sent again
 * must not leave rows behind of a transaction that has ended, nor one of a transaction whose begin was refused.
 */
export function upsertProgress(progress: readonly ProgressRow[], epochs: readonly ShardEpoch[]): Operation<void> {
  const rows = [...new Map(progress.map((row) => [`${row.txid}/${row.kind}/${row.key}`, row])).values()];
  const epochOf = new Map(epochs.map((e) => [e.shard, e.epoch]));
  const shards = rows.map((row) => shardOf(row.txid));
  return {
    name: 'upsert-progress',
    text: `
      INSERT INTO tx_progress AS p (txid, kind, key, data)
      SELECT r.txid, r.kind, r.key, r.data
        FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::jsonb[]) AS r (txid, shard, epoch, kind, key, data)
        JOIN shard USING (shard, epoch)
        JOIN tx_open o ON o.shard = r.shard AND o.txid = r.txid
       ORDER BY r.txid, r.kind, r.key
          ON CONFLICT (txid, kind, key) DO UPDATE SET data = excluded.data WHERE p.data IS DISTINCT FROM excluded.data`,
    values: [rows.map((r) => r.txid), shards, shards.map((shard) => epochOf.get(shard)!), rows.map((r) => r.kind), rows.map((r) => r.key), rows.map((r) => json(r.data))],
    read: () => undefined,
  };
}
