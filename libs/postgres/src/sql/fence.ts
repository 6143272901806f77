import { shardOf, type Txid } from '#libs/protocol';
import type { CoordinatorFlush, ShardEpoch } from '#libs/runtime';
import { plainArray } from './encode.js';
import type { Part } from './part.js';
import type { Written } from './write-rows.js';

/**
 * Locks the shards' rows until the end of the flush, so that no new owner can raise an epoch meanwhile. In order, so that flushes and
 * acquisitions cannot deadlock. If one shard has moved on, nothing at all is written: each other part asks HELD.
 */
export function fence(epochs: readonly ShardEpoch[]): Part {
  const sorted = epochs.toSorted((a, b) => a.shard - b.shard);
  return {
    values: [plainArray(sorted.map((e) => e.shard)), plainArray(sorted.map((e) => e.epoch))],
    text: ([shards, numbers]) => `
      found AS MATERIALIZED (
        SELECT shard, epoch FROM shard WHERE shard = ANY (${shards}::int[]) ORDER BY shard FOR SHARE
      ), gate AS MATERIALIZED (
        SELECT ARRAY(SELECT shard FROM found) = ${shards}::int[] AND ARRAY(SELECT epoch FROM found) = ${numbers}::int[] AS open)`,
  };
}

/** The shards that have moved on. */
export function movedOn(epochs: readonly ShardEpoch[], found: Pick<Written, 'shards' | 'epochs'>): readonly number[] {
  const current = new Map(found.shards.map((shard, i) => [shard, found.epochs[i]]));
  return epochs.filter(({ shard, epoch }) => current.get(shard) !== epoch).map(({ shard }) => shard);
}

/** Evaluated once. */
export const HELD = '(SELECT open FROM gate)';

/** Without the rows of these shards. */
export function without(batch: CoordinatorFlush, fenced: ReadonlySet<number>): CoordinatorFlush {
  const stays = (txid: Txid): boolean => !fenced.has(shardOf(txid));
  return {
    epochs: batch.epochs.filter(({ shard }) => !fenced.has(shard)),
    begins: batch.begins.filter(({ spec }) => stays(spec.txid)),
    progress: batch.progress.filter(({ txid }) => stays(txid)),
    decisions: batch.decisions.filter(({ txid }) => stays(txid)),
    ends: batch.ends.filter(({ txid }) => stays(txid)),
  };
}
