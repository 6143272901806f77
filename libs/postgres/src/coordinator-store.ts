import type { Txid } from '#libs/protocol';
import type { CoordinatorFlush, CoordinatorFlushResult, CoordinatorStore, RegisterEntry, ShardEpoch, StoredTransaction, UnfinishedTransaction } from '#libs/runtime';
import type { Pool } from './pool.js';
import { flush } from './sql/flush.js';
import { loadUnfinished } from './sql/load-unfinished.js';
import { lookUp } from './sql/look-up.js';
import { presumeAbort } from './sql/presume-abort.js';
import { acquireShards, shardEpochs } from './sql/shards.js';

/** The coordinator's memory in Postgres. The pool must be one of `createPool` to have each flush in one round trip. */
export class PgCoordinatorStore implements CoordinatorStore {
  constructor(private readonly pool: Pool) {}

  async acquireShards(shards: readonly number[], owner: string): Promise<readonly ShardEpoch[]> {
    return shards.length === 0 ? [] : acquireShards(this.pool, shards, owner);
  }

  async shardEpochs(shards: readonly number[]): Promise<readonly ShardEpoch[]> {
    return shards.length === 0 ? [] : shardEpochs(this.pool, shards);
  }

  loadUnfinished(shard: number, after: Txid | null, limit: number): Promise<readonly UnfinishedTransaction[]> {
    return loadUnfinished(this.pool, shard, after, limit);
  }

  flush(batch: CoordinatorFlush): Promise<CoordinatorFlushResult> {
    return flush(this.pool, batch);
  }

  async presumeAbort(txids: readonly Txid[], atMs: number): Promise<ReadonlyMap<Txid, RegisterEntry>> {
    return txids.length === 0 ? new Map() : presumeAbort(this.pool, txids, atMs);
  }

  async lookUp(txids: readonly Txid[]): Promise<ReadonlyMap<Txid, StoredTransaction>> {
    return txids.length === 0 ? new Map() : lookUp(this.pool, txids);
  }
}
