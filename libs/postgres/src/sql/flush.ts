import type { Txid } from '#libs/protocol';
import { shardOf } from '#libs/protocol';
import type { CoordinatorFlush, CoordinatorFlushResult, DecideRow, RegisterEntry } from '#libs/runtime';
import { runTogether } from '../pipeline.js';
import type { Pool } from '../pool.js';
import { claimKeys, keyedBegins, type LostKey, readLostKeys } from './claim-keys.js';
import { epochLookup, fence } from './fence.js';
import { insertBegins } from './insert-begins.js';
import { insertEnds } from './insert-ends.js';
import { insertDecisions, readLostRegisters, registerEntry, type RegisterRow } from './register.js';
import { upsertProgress } from './upsert-progress.js';

/**
 * The coordinator's one write: one database transaction, one round trip, whatever the number of records. The order is the same in every
 * flush, and the rows are sorted within each statement, so that flushes wait for each other instead of deadlocking.
 */
export async function flush(pool: Pool, batch: CoordinatorFlush): Promise<CoordinatorFlushResult> {
  const epochOf = epochLookup(batch.epochs);
  const keyed = keyedBegins(batch.begins);
  const [fenced, , lostKeys, , , won, lost] = await runTogether(pool, [
    fence(batch.epochs),
    when(keyed, () => claimKeys(keyed, epochOf)),
    when(keyed, () => readLostKeys(keyed)),
    when(batch.begins, () => insertBegins(batch.begins, epochOf)),
    when(batch.progress, () => upsertProgress(batch.progress, epochOf)),
    when(batch.decisions, () => insertDecisions(batch.decisions, epochOf)),
    when(batch.decisions, () => readLostRegisters(batch.decisions.map((d) => d.txid))),
    when(batch.ends, () => insertEnds(batch.ends, epochOf)),
  ]);
  const isFenced = (txid: Txid): boolean => fenced.has(shardOf(txid)) || epochOf(shardOf(txid)) === -1;
  return {
    fenced: [...fenced],
    duplicates: duplicates(lostKeys ?? [], isFenced),
    register: register(batch.decisions.filter((d) => !isFenced(d.txid)), won ?? new Set(), lost ?? []),
  };
}

function when<T>(rows: readonly unknown[], operation: () => T): T | null {
  return rows.length === 0 ? null : operation();
}

function duplicates(lost: readonly LostKey[], isFenced: (txid: Txid) => boolean): CoordinatorFlushResult['duplicates'] {
  return new Map(lost.filter((l) => !isFenced(l.refused)).map((l) => [l.refused, { txid: l.txid, requestHash: l.requestHash }]));
}

function register(decisions: readonly DecideRow[], won: ReadonlySet<Txid>, lost: readonly RegisterRow[]): ReadonlyMap<Txid, RegisterEntry> {
  const others = new Map(lost.map((row) => [row.txid, registerEntry(row)]));
  return new Map(decisions.map(({ txid, decision, reason, branches, atMs }) => {
    const entry = won.has(txid) ? { decision, reason, branches, atMs } : others.get(txid);
    if (entry === undefined) throw new Error(`the register of ${txid} was neither written nor found`);
    return [txid, entry];
  }));
}
