import type { PoolClient } from 'pg';
import type { Txid } from '#libs/protocol';
import type { TimeRange } from './tables.js';

/** From when on things are kept, in milliseconds since the epoch. */
export interface Cutoffs {
  readonly cutoffMs: number;
  readonly auditCutoffMs: number;
  readonly instanceCutoffMs: number;
}

/** How many rows went, by table. */
export type Deleted = Readonly<Record<string, number>>;

/** What a database keeps and what may go; one for each role of a database. */
export interface Keeping {
  /** Before anything is deleted: tells whoever relies on missing rows from where on they prove nothing. */
  announce(client: PoolClient, times: Cutoffs): Promise<void>;
  /** The oldest transactions of the range that must stay, and all else of their partition with them. */
  unfinished(client: PoolClient, range: TimeRange, limit: number): Promise<readonly Txid[]>;
  /** True: something old has ended only lately, and its rows may still be asked for. */
  changedSince(client: PoolClient, range: TimeRange, sinceMs: number): Promise<boolean>;
  /** Deletes what goes with the range's partitions but is not in them. */
  beforeDetach(client: PoolClient, range: TimeRange, sweep: Sweep): Promise<Deleted>;
  /** Deletes what is not partitioned, or fell into the default partitions. */
  sweep(client: PoolClient, times: Cutoffs, sweep: Sweep): Promise<Deleted>;
}

/** What one batch has come to. */
export interface Batch {
  /** Rows that were looked at; fewer than the limit: these were the last. */
  readonly seen: number;
  readonly deleted: number;
  /** The greatest key that was looked at. */
  readonly last: string | null;
}

/**
 * Deletes in small batches, each a database transaction of its own, until there is no more, or a row is locked by somebody who goes first,
 * or the housekeeper is stopped.
 */
export class Sweep {
  constructor(private readonly batchSize: number, private readonly stopped: () => boolean) {}

  /** In key order: what must stay is looked at once. */
  async through(batch: (after: string | null, limit: number) => Promise<Batch>): Promise<number> {
    let total = 0;
    for (let after: string | null = null; !this.stopped();) {
      const { seen, deleted, last }: Batch = await unlessLocked(batch(after, this.batchSize), NOTHING);
      total += deleted;
      if (seen < this.batchSize) break;
      after = last;
    }
    return total;
  }

  /** Where all that is found goes. */
  async repeat(batch: (limit: number) => Promise<number>): Promise<number> {
    let total = 0;
    while (!this.stopped()) {
      const deleted = await unlessLocked(batch(this.batchSize), 0);
      total += deleted;
      if (deleted < this.batchSize) break;
    }
    return total;
  }
}

const NOTHING: Batch = { seen: 0, deleted: 0, last: null };
const LOCK_NOT_AVAILABLE = '55P03';

async function unlessLocked<T>(batch: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await batch;
  } catch (error) {
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return otherwise;
    throw error;
  }
}
