import { type Reason, type Decision, type BranchProgress, shardOf, type Txid } from '#libs/protocol';
import type { DecideRow, RegisterEntry } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { encodeTimeline } from '../timeline.js';
import { json, jsonOrNull } from './encode.js';
import type { EpochOf } from './fence.js';

// The write-once register: a row is inserted if absent, never updated, never deleted. Whoever loses the race reads the winner.

/** A register row as it is read. */
export interface RegisterRow {
  readonly txid: Txid;
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly BranchProgress[];
  readonly decided_at: Date;
}

export function registerEntry(row: RegisterRow): RegisterEntry {
  return { decision: row.decision, reason: row.reason, branches: row.branches, atMs: row.decided_at.getTime() };
}

/** Answers the transactions whose register this flush has filled. In txid order, so that two flushes cannot deadlock. */
export function insertDecisions(decisions: readonly DecideRow[], epochOf: EpochOf): Operation<ReadonlySet<Txid>> {
  const shards = decisions.map((d) => shardOf(d.record.txid));
  return {
    name: 'insert-decisions',
    text: `
      INSERT INTO tx_decision (txid, decision, reason, branches, timeline, epoch, decided_at)
      SELECT r.txid, r.decision, r.reason, r.branches, r.timeline, epoch, to_timestamp(r.at_ms / 1000)
        FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::jsonb[], $6::jsonb[], $7::json[], $8::float8[])
             AS r (txid, shard, epoch, decision, reason, branches, timeline, at_ms)
        JOIN shard USING (shard, epoch)
       ORDER BY r.txid
          ON CONFLICT DO NOTHING
      RETURNING txid`,
    values: [
      decisions.map((d) => d.record.txid), shards, shards.map(epochOf), decisions.map((d) => d.record.decision), decisions.map((d) => jsonOrNull(d.record.reason)),
      decisions.map((d) => json(d.record.branches)), decisions.map((d) => encodeTimeline(d.timeline)), decisions.map((d) => d.record.atMs),
    ],
    read: (rows: { txid: Txid }[]) => new Set(rows.map((row) => row.txid)),
  };
}

/**
 * What others have put into these registers: all rows but those that this very transaction has written. A statement of its own, because
 * the insert that lost does not see the winner.
 */
export function readLostRegisters(txids: readonly Txid[]): Operation<readonly RegisterRow[]> {
  return {
    name: 'read-lost-registers',
    text: `
      SELECT txid, decision, reason, branches, decided_at FROM tx_decision
       WHERE txid = ANY ($1::uuid[]) AND xmin <> pg_current_xact_id()::xid`,
    values: [txids],
    read: (rows: RegisterRow[]) => rows,
  };
}

/** ABORT into each register that is empty, unless the transaction has ended without one. */
export function insertPresumedAborts(txids: readonly Txid[], reason: Reason, atMs: number): Operation<void> {
  return {
    name: 'insert-presumed-aborts',
    text: `
      INSERT INTO tx_decision (txid, decision, reason, branches, timeline, epoch, decided_at)
      SELECT t.txid, 'ABORT', $2::jsonb, '[]', '[]', NULL, to_timestamp($3::float8 / 1000)
        FROM unnest($1::uuid[]) AS t (txid)
       WHERE NOT EXISTS (SELECT FROM tx_end e WHERE e.txid = t.txid)
       ORDER BY t.txid
          ON CONFLICT DO NOTHING`,
    values: [txids, json(reason), atMs],
    read: () => undefined,
  };
}

/** What each register holds; for a transaction that ended without one, its outcome. */
export function readOutcomes(txids: readonly Txid[]): Operation<ReadonlyMap<Txid, RegisterEntry>> {
  return {
    name: 'read-outcomes',
    text: `
      SELECT txid, decision, reason, branches, decided_at FROM tx_decision WHERE txid = ANY ($1::uuid[])
      UNION ALL
      SELECT txid, CASE outcome WHEN 'committed' THEN 'COMMIT' ELSE 'ABORT' END, reason, branches, finished_at FROM tx_end
       WHERE txid = ANY ($1::uuid[]) AND NOT registered`,
    values: [txids],
    read: (rows: RegisterRow[]) => new Map(rows.map((row) => [row.txid, registerEntry(row)])),
  };
}
