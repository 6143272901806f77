import { type Reason, type Decision, shardOf, type Txid } from '#libs/protocol';
import type { DecideRow, RegisterEntry, ShardEpoch } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import { decodeReports, encodeReports, type StoredReport } from '../reports.js';
import { encodeTimeline } from '../timeline.js';
import { json, jsonOrNull, lines, linesOf, plainArray } from './encode.js';
import { HELD } from './fence.js';
import { inOrder, type Part } from './part.js';
import { txidBounds } from './txid-range.js';

// The write-once register: a row is inserted if absent, never updated, and deleted only with everything else of its transaction.
// Whoever loses the race reads the winner.

/** A register row as it is read. */
export interface RegisterRow {
  readonly txid: Txid;
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly StoredReport[];
  readonly decided_at: Date;
}

export function registerEntry(row: RegisterRow): RegisterEntry {
  return { decision: row.decision, reason: row.reason, branches: decodeReports(row.branches), atMs: row.decided_at.getTime() };
}

/** Only into registers that are empty. */
export function insertDecisions(rows: readonly DecideRow[], epochs: readonly ShardEpoch[]): Part {
  const decisions = inOrder(rows, (d) => d.txid);
  const epochOf = new Map(epochs.map((e) => [e.shard, e.epoch]));
  return {
    values: [
      plainArray(decisions.map((d) => d.txid)), plainArray(decisions.map((d) => epochOf.get(shardOf(d.txid))!)), plainArray(decisions.map((d) => d.decision)),
      lines(decisions.map((d) => jsonOrNull(d.reason))), lines(decisions.map((d) => encodeReports(d.branches))), lines(decisions.map((d) => encodeTimeline(d.timeline))),
      plainArray(decisions.map((d) => d.atMs)),
    ],
    text: ([txids, numbers, words, reasons, branches, timelines, times]) => `
      decided AS (
        INSERT INTO tx_decision (txid, decision, reason, branches, timeline, epoch, decided_at)
        SELECT r.txid, r.decision, r.reason::jsonb, r.branches::json, r.timeline, r.epoch, to_timestamp(r.at_ms / 1000)
          FROM unnest(${txids}::uuid[], ${numbers}::int[], ${words}::text[], ${linesOf(reasons!)}, ${linesOf(branches!)}, ${linesOf(timelines!)}, ${times}::float8[])
               AS r (txid, epoch, decision, reason, branches, timeline, at_ms)
         WHERE ${HELD}
            ON CONFLICT DO NOTHING
        RETURNING 1)`,
  };
}

/**
 * What is in these registers, whoever has filled them. The bounds leave out the partitions that hold none of them, which `= ANY` alone
 * does not in a plan that is made once.
 */
export function readRegisters(txids: readonly Txid[]): Operation<readonly RegisterRow[]> {
  return {
    name: 'read-registers',
    text: `
      SELECT txid, decision, reason, branches, decided_at FROM tx_decision
       WHERE txid = ANY ($1::uuid[]) AND txid BETWEEN $2::uuid AND $3::uuid`,
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
