import { type Reason, type Decision, shardOf, type Txid } from '#libs/protocol';
import type { BranchReport, DecideRow, RegisterEntry } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { encodeTimeline } from '../timeline.js';
import { json, jsonOrNull } from './encode.js';
import type { EpochOf } from './fence.js';
import { txidBounds } from './txid-range.js';

// The write-once register: a row is inserted if absent, never updated, and deleted only with everything else of its transaction.
// Whoever loses the race reads the winner.

/** A register row as it is read. */
export interface RegisterRow {
  readonly txid: Txid;
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly BranchReport[];
  readonly decided_at: Date;
}

export function registerEntry(row: RegisterRow): RegisterEntry {
  return { decision: row.decision, reason: row.reason, branches: row.branches, atMs: row.decided_at.getTime() };
}

/** Answers the transactions whose register this flush has filled. In txid order, so that two flushes cannot deadlock. */
export function insertDecisions(decisions: readonly DecideRow[], epochOf: EpochOf): Operation<ReadonlySet<Txid>> {
  const shards = decisions.map((d) => shardOf(d.txid));
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
      decisions.map((d) => d.txid), shards, shards.map(epochOf), decisions.map((d) => d.decision), decisions.map((d) => jsonOrNull(d.reason)),
      decisions.map((d) => json(d.branches)), decisions.map((d) => encodeTimeline(d.timeline)), decisions.map((d) => d.atMs),
    ],
    read: (rows: { txid: Txid }[]) => new Set(rows.map((row) => row.txid)),
  };
}

/**
 * What others have put into these registers: all rows but those that this very transaction has written. A statement of its own, because
 * the insert that lost does not see the winner. The bounds leave out the partitions that hold none of them, which `= ANY` alone does not
 * in a plan that is made once.
 */
export function readLostRegisters(txids: readonly Txid[]): Operation<readonly RegisterRow[]> {
  return {
    name: 'read-lost-registers',
    text: `
      SELECT txid, decision, reason, branches, decided_at FROM tx_decision
       WHERE txid = ANY ($1::uuid[]) AND txid BETWEEN $2::uuid AND $3::uuid AND xmin <> pg_current_xact_id()::xid`,
    values: [txids, ...txidBounds(txids)],
    read: (rows: RegisterRow[]) => rows,
  };
}

/**
 * Keeps the horizon where it is until the end of the transaction: what is missing behind it is missing because it never was, and not
 * because it is being cleaned up just now.
 */
export function holdHorizon(): Operation<void> {
  return { name: 'hold-horizon', text: 'SELECT FROM tx_horizon FOR SHARE', values: [], read: () => undefined };
}

/**
 * ABORT into each register that is empty, unless the transaction has ended without one, is of a protocol that decides otherwise, or is so
 * old that its rows may have been cleaned up.
 */
export function insertPresumedAborts(txids: readonly Txid[], reason: Reason, atMs: number): Operation<void> {
  return {
    name: 'insert-presumed-aborts',
    text: `
      INSERT INTO tx_decision (txid, decision, reason, branches, timeline, epoch, decided_at)
      SELECT t.txid, 'ABORT', $2::jsonb, '[]', '[]', NULL, to_timestamp($3::float8 / 1000)
        FROM unnest($1::uuid[]) AS t (txid) CROSS JOIN tx_horizon h
        LEFT JOIN tx_begin b ON b.txid = t.txid
        LEFT JOIN tx_end e ON e.txid = t.txid
       WHERE e.txid IS NULL AND CASE WHEN b.txid IS NULL THEN t.txid >= h.txid ELSE b.protocol = '2pc' END
       ORDER BY t.txid
          ON CONFLICT DO NOTHING`,
    values: [txids, json(reason), atMs],
    read: () => undefined,
  };
}

/** What each register of two-phase commit holds; for a transaction that ended without one, its outcome. */
export function readOutcomes(txids: readonly Txid[]): Operation<ReadonlyMap<Txid, RegisterEntry>> {
  return {
    name: 'read-outcomes',
    text: `
      SELECT t.txid, coalesce(d.decision, CASE e.outcome WHEN 'committed' THEN 'COMMIT' ELSE 'ABORT' END) AS decision,
             CASE WHEN d.txid IS NULL THEN e.reason ELSE d.reason END AS reason, coalesce(d.branches, e.branches) AS branches,
             coalesce(d.decided_at, e.finished_at) AS decided_at
        FROM unnest($1::uuid[]) AS t (txid)
        LEFT JOIN tx_begin b ON b.txid = t.txid
        LEFT JOIN tx_decision d ON d.txid = t.txid
        LEFT JOIN tx_end e ON e.txid = t.txid
       WHERE coalesce(b.protocol, '2pc') = '2pc' AND (d.txid IS NOT NULL OR e.txid IS NOT NULL)`,
    values: [txids],
    read: (rows: RegisterRow[]) => new Map(rows.map((row) => [row.txid, registerEntry(row)])),
  };
}
