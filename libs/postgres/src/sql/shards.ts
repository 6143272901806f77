import type { ShardEpoch } from '#libs/runtime';
import type { Pool } from '../pool.js';

/**
 * Raises the epochs. Waits for flushes under the old ones (they hold the rows FOR SHARE), so what they wrote is there to be loaded
 * afterwards, and every later one is fenced.
 */
export async function acquireShards(pool: Pool, shards: readonly number[], owner: string): Promise<readonly ShardEpoch[]> {
  const { rows } = await pool.query<ShardEpoch>({
    name: 'acquire-shards',
    text: `
      INSERT INTO shard (shard, epoch, owner, acquired_at)
      SELECT s, 1, $2, now() FROM (SELECT DISTINCT unnest($1::int[]) AS s) AS wanted ORDER BY s
          ON CONFLICT (shard) DO UPDATE SET epoch = shard.epoch + 1, owner = excluded.owner, acquired_at = excluded.acquired_at
      RETURNING shard, epoch`,
    values: [shards, owner],
  });
  return rows;
}

/** Shards that nobody has ever owned are left out. */
export async function shardEpochs(pool: Pool, shards: readonly number[]): Promise<readonly ShardEpoch[]> {
  const { rows } = await pool.query<ShardEpoch>({
    name: 'shard-epochs', text: 'SELECT shard, epoch FROM shard WHERE shard = ANY ($1::int[]) ORDER BY shard', values: [shards],
  });
  return rows;
}

export interface ShardInfo extends ShardEpoch {
  /** Instance id of the owner. */
  readonly owner: string;
  readonly acquiredAtMs: number;
}

/** Every shard that was ever owned, in order. */
export async function shardList(pool: Pool): Promise<readonly ShardInfo[]> {
  const { rows } = await pool.query<ShardEpoch & { owner: string; acquired_at: Date }>('SELECT shard, epoch, owner, acquired_at FROM shard ORDER BY shard');
  return rows.map(({ acquired_at, ...shard }) => ({ ...shard, acquiredAtMs: acquired_at.getTime() }));
}
