import { shardOf } from '#libs/protocol';
import type { EndRow } from '#libs/runtime';
import { encodeReports } from '../reports.js';
import { encodeTimeline } from '../timeline.js';
import { jsonOrNull, lines, linesOf, plainArray } from './encode.js';
import { HELD } from './fence.js';
import { inOrder, type Part } from './part.js';

/**
 * Ends, closes what was open, and forgets what only an open transaction needs. `registered` spares the lists a look into the register for
 * nearly every end. (A join and not EXISTS, for which Postgres would hash the whole register; and none with `tx_open`, because a plan that
 * was made while it was empty would compare all with all.)
 */
export function insertEnds(rows: readonly EndRow[]): Part {
  const ends = inOrder(rows, (e) => e.txid);
  return {
    values: [
      plainArray(ends.map((e) => e.txid)), plainArray(ends.map((e) => shardOf(e.txid))), plainArray(ends.map((e) => e.outcome)), lines(ends.map((e) => jsonOrNull(e.reason))),
      lines(ends.map((e) => jsonOrNull(e.resolved))), lines(ends.map((e) => encodeReports(e.branches))), lines(ends.map((e) => encodeTimeline(e.timeline))),
      plainArray(ends.map((e) => e.atMs)),
    ],
    text: ([txids, shards, outcomes, reasons, resolved, branches, timelines, times]) => `
      ended AS (
        INSERT INTO tx_end (txid, outcome, reason, resolved, branches, timeline, registered, finished_at)
        SELECT r.txid, r.outcome, r.reason::jsonb, r.resolved::jsonb, r.branches::json, r.timeline, d.txid IS NOT NULL, to_timestamp(r.at_ms / 1000)
          FROM unnest(${txids}::uuid[], ${outcomes}::text[], ${linesOf(reasons!)}, ${linesOf(resolved!)}, ${linesOf(branches!)}, ${linesOf(timelines!)}, ${times}::float8[])
               AS r (txid, outcome, reason, resolved, branches, timeline, at_ms)
          LEFT JOIN tx_decision d ON d.txid = r.txid
         WHERE ${HELD}
            ON CONFLICT DO NOTHING
      ), forgotten AS (
        DELETE FROM tx_progress WHERE txid = ANY (${txids}::uuid[]) AND ${HELD}
      ), closed AS (
        DELETE FROM tx_open WHERE ctid = ANY (ARRAY(
          SELECT o.ctid FROM unnest(${shards}::int[], ${txids}::uuid[]) AS r (shard, txid)
           CROSS JOIN LATERAL (SELECT ctid FROM tx_open WHERE shard = r.shard AND txid = r.txid OFFSET 0) AS o)) AND ${HELD})`,
  };
}
