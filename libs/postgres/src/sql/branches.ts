import type { AnyBranchRow, BranchKey } from '#libs/runtime';
import { detailOf, peersOf } from '../branch-row.js';
import { json, jsonOrNull, textArray } from './encode.js';
import type { Statement } from './statement.js';

/** States in which a branch has voted YES and does not know the decision; sagas have others. As in the partial index. */
export const UNDECIDED = "state IN ('prepared', 'pre-committed', 'pre-aborted')";

/**
 * In key order, so that batches with the same branches wait for each other instead of deadlocking. Here and below each row looks into its own
 * partition alone. Bounds of all of them, in `BETWEEN`, would do that once for the batch, but lead to plans that compare all with all:
 * measured, 2.6 times as slow with 1,000 rows.
 */
export function loadBranches(keys: readonly BranchKey[]): Statement {
  return {
    name: 'load-branches',
    text: `
      SELECT txid, branch, protocol, state, one_phase, operation, payload, peers, reason, result, detail, updated_at FROM concordat_branch
       WHERE (txid, branch) IN (SELECT * FROM unnest($1::uuid[], $2::int[])) ORDER BY txid, branch FOR UPDATE`,
    values: [keys.map((key) => key.txid), keys.map((key) => key.branch)],
  };
}

/** Fails with a unique violation when another process inserted one of the rows since `loadBranches` found nothing. */
export function insertBranches(rows: readonly AnyBranchRow[]): Statement {
  return {
    name: 'insert-branches',
    text: `
      INSERT INTO concordat_branch (txid, branch, protocol, state, one_phase, operation, payload, peers, reason, result, detail, updated_at)
      SELECT r.txid, r.branch, r.protocol, r.state, r.one_phase, r.operation, r.payload, r.peers::text[], r.reason, r.result, r.detail, to_timestamp(r.updated_ms / 1000)
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::float8[], $12::text[])
             AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, detail, updated_ms, protocol)
       ORDER BY r.txid, r.branch`,
    values: [...columns(rows, (row) => json(row.payload)), rows.map((r) => r.protocol)],
  };
}

/** A payload that is the very one that was loaded is neither sent nor written again. */
export function updateBranches(rows: readonly { readonly row: AnyBranchRow; readonly before: AnyBranchRow }[]): Statement {
  const unchanged = new Set(rows.filter(({ row, before }) => row.payload === before.payload).map(({ row }) => row));
  return {
    name: 'update-branches',
    text: `
      UPDATE concordat_branch b
         SET state = r.state, one_phase = r.one_phase, operation = r.operation, payload = coalesce(r.payload, b.payload), peers = r.peers::text[],
             reason = r.reason, result = r.result, detail = r.detail, updated_at = to_timestamp(r.updated_ms / 1000)
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::float8[])
             AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, detail, updated_ms)
       WHERE b.txid = r.txid AND b.branch = r.branch`,
    values: columns(rows.map(({ row }) => row), (row) => (unchanged.has(row) ? null : json(row.payload))),
  };
}

function columns(rows: readonly AnyBranchRow[], payload: (row: AnyBranchRow) => string | null): unknown[] {
  return [
    rows.map((r) => r.txid), rows.map((r) => r.branch), rows.map((r) => r.state), rows.map((r) => r.protocol === '2pc' && r.onePhase), rows.map((r) => r.operation),
    rows.map(payload), rows.map((r) => textArray(peersOf(r))), rows.map((r) => jsonOrNull(r.reason)), rows.map((r) => jsonOrNull(r.result)),
    rows.map((r) => jsonOrNull(detailOf(r))), rows.map((r) => r.updatedAtMs),
  ];
}
