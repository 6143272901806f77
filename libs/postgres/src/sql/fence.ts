import type { ShardEpoch } from '#libs/runtime';
import type { Operation } from '../pipeline.js';

/**
 * Locks the shards' rows until the end of the flush, so that no new owner can raise an epoch meanwhile, and answers the shards that
 * have moved on. In order, so that flushes and acquisitions cannot deadlock. Every later statement of the flush joins
 * `shard USING (shard, epoch)`: rows of a fenced shard fall out there, without a round trip to look first.
 */
export function fence(epochs: readonly ShardEpoch[]): Operation<ReadonlySet<number>> {
  return {
    name: 'fence',
    text: 'SELECT shard, epoch FROM shard WHERE shard = ANY ($1::int[]) ORDER BY shard FOR SHARE',
    values: [epochs.map((e) => e.shard)],
    read(rows: ShardEpoch[]) {
      const current = new Map(rows.map((row) => [row.shard, row.epoch]));
      return new Set(epochs.filter((e) => current.get(e.shard) !== e.epoch).map((e) => e.shard));
    },
  };
}

/** Epoch of a shard in this flush. A shard that it does not name gets an epoch that never is: fenced. */
export type EpochOf = (shard: number) => number;

export function epochLookup(epochs: readonly ShardEpoch[]): EpochOf {
  const known = new Map(epochs.map((e) => [e.shard, e.epoch]));
  return (shard) => known.get(shard) ?? -1;
}
