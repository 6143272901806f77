import type { AnyBranchRow, BranchKey } from '#libs/runtime';
import { detailOf, peersOf } from '../branch-row.js';
import { json, jsonOrNull, lines, linesOf, textArray } from './encode.js';
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
  return rows.length === 1 ? insertBranch(rows[0]!) : {
    name: 'insert-branches',
    text: `
      INSERT INTO concordat_branch (txid, branch, protocol, state, one_phase, operation, payload, peers, reason, result, detail, updated_at)
      SELECT r.txid, r.branch, r.protocol, r.state, r.one_phase, r.operation, r.payload, r.peers::text[], r.reason, r.result, r.detail, to_timestamp(r.updated_ms / 1000)
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::float8[], $12::text[])
             AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, detail, updated_ms, protocol)
       ORDER BY r.txid, r.branch`,
    values: literals([...columns(rows, (row) => json(row.payload)), rows.map((r) => r.protocol)]),
  };
}

/** Without arrays: for one row alone they cost as much as the row. */
function insertBranch(row: AnyBranchRow): Statement {
  return {
    name: 'insert-branch',
    text: `
      INSERT INTO concordat_branch (txid, branch, state, one_phase, operation, payload, peers, reason, result, detail, updated_at, protocol)
      VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::text[], $8::jsonb, $9::jsonb, $10::jsonb, to_timestamp($11::float8 / 1000), $12)`,
    values: [...columns([row], ({ payload }) => json(payload)).map(([value]) => value), row.protocol],
  };
}

export interface BranchChange {
  readonly row: AnyBranchRow;
  readonly before: AnyBranchRow;
}

/** SQLSTATE of the changes below when one of the rows was not in the state in which it was seen last. */
export const ROW_CHANGED = '22012';

/** The names of the statements below. */
export const CHANGING_BRANCHES: ReadonlySet<string> = new Set(['decide-branch', 'decide-branches', 'move-branches', 'update-branches']);

/**
 * Only what is still in the state in which it was seen last, and, unless it is decided, with the same elections (3pc); divides by zero
 * unless all of them were. A decision stands whatever was promised to whom.
 */
export function changeBranches(changes: readonly BranchChange[]): readonly Statement[] {
  const decided = changes.filter((change) => keepsAllBut(DECIDED, change));
  const others = changes.length === decided.length ? [] : changes.filter((change) => !keepsAllBut(DECIDED, change));
  const moved = others.filter((change) => keepsAllBut(MOVED, change));
  const rewritten = moved.length === others.length ? [] : others.filter((change) => !keepsAllBut(MOVED, change));
  return [
    ...(decided.length === 0 ? [] : [decideBranches(decided)]), ...(moved.length === 0 ? [] : [moveBranches(moved)]),
    ...(rewritten.length === 0 ? [] : [updateBranches(rewritten)]),
  ];
}

const DECIDED: ReadonlySet<string> = new Set(['state', 'reason', 'updatedAtMs']);
const MOVED: ReadonlySet<string> = new Set([...DECIDED, 'lastElected', 'lastAttempt']);

/** The usual changes, which leave everything else as it was: nothing of it needs to be sent. */
function keepsAllBut(changing: ReadonlySet<string>, { row, before }: BranchChange): boolean {
  const [now, then] = [row, before] as unknown as readonly Readonly<Record<string, unknown>>[];
  return Object.keys(now!).every((field) => now![field] === then![field] || changing.has(field));
}

function decideBranches(changes: readonly BranchChange[]): Statement {
  if (changes.length === 1) {
    const { row, before } = changes[0]!;
    return {
      name: 'decide-branch',
      text: `
        WITH changed AS (
          UPDATE concordat_branch SET state = $3, reason = $4::jsonb, updated_at = to_timestamp($5::float8 / 1000)
           WHERE txid = $1 AND branch = $2 AND state = $6 RETURNING 1)
        SELECT 1 / count(*) FROM changed`,
      values: [row.txid, row.branch, row.state, jsonOrNull(row.reason), row.updatedAtMs, before.state],
    };
  }
  return {
    name: 'decide-branches',
    text: `
      WITH changed AS (
        UPDATE concordat_branch b SET state = r.state, reason = r.reason, updated_at = to_timestamp(r.updated_ms / 1000)
          FROM unnest($1::uuid[], $2::int[], $3::text[], $4::jsonb[], $5::float8[], $6::text[]) AS r (txid, branch, state, reason, updated_ms, before)
         WHERE b.txid = r.txid AND b.branch = r.branch AND b.state = r.before RETURNING 1)
      SELECT 1 / (count(*) = cardinality($1::uuid[]))::int FROM changed`,
    values: literals([
      changes.map(({ row }) => row.txid), changes.map(({ row }) => row.branch), changes.map(({ row }) => row.state), changes.map(({ row }) => jsonOrNull(row.reason)),
      changes.map(({ row }) => row.updatedAtMs), changes.map(({ before }) => before.state),
    ]),
  };
}

/** Promises and attempts of 3pc. */
function moveBranches(changes: readonly BranchChange[]): Statement {
  return {
    name: 'move-branches',
    text: `
      WITH changed AS (
        UPDATE concordat_branch b SET state = r.state, reason = r.reason, detail = r.detail::jsonb, updated_at = to_timestamp(r.updated_ms / 1000)
          FROM unnest($1::uuid[], $2::int[], $3::text[], $4::jsonb[], $5::float8[], $6::text[], ${linesOf('$7')}, ${linesOf('$8')})
               AS r (txid, branch, state, reason, updated_ms, before, detail, before_detail)
         WHERE b.txid = r.txid AND b.branch = r.branch AND b.state = r.before AND b.detail = r.before_detail::jsonb RETURNING 1)
      SELECT 1 / (count(*) = cardinality($1::uuid[]))::int FROM changed`,
    values: [
      ...literals([
        changes.map(({ row }) => row.txid), changes.map(({ row }) => row.branch), changes.map(({ row }) => row.state), changes.map(({ row }) => jsonOrNull(row.reason)),
        changes.map(({ row }) => row.updatedAtMs), changes.map(({ before }) => before.state),
      ]),
      lines(changes.map(({ row }) => json(detailOf(row)))), lines(changes.map(({ before }) => json(detailOf(before)))),
    ],
  };
}

/** A payload that is the very one that was loaded is neither sent nor written again. */
function updateBranches(changes: readonly BranchChange[]): Statement {
  const unchanged = new Set(changes.filter(({ row, before }) => row.payload === before.payload).map(({ row }) => row));
  return {
    name: 'update-branches',
    text: `
      WITH changed AS (
        UPDATE concordat_branch b
           SET state = r.state, one_phase = r.one_phase, operation = r.operation, payload = coalesce(r.payload, b.payload), peers = r.peers::text[],
               reason = r.reason, result = r.result, detail = r.detail, updated_at = to_timestamp(r.updated_ms / 1000)
          FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::float8[], $12::text[], $13::jsonb[])
               AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, detail, updated_ms, before, before_detail)
         WHERE b.txid = r.txid AND b.branch = r.branch AND b.state = r.before AND b.detail IS NOT DISTINCT FROM r.before_detail RETURNING 1)
      SELECT 1 / (count(*) = cardinality($1::uuid[]))::int FROM changed`,
    values: [...columns(changes.map(({ row }) => row), (row) => (unchanged.has(row) ? null : json(row.payload))), changes.map(({ before }) => before.state), changes.map(({ before }) => jsonOrNull(detailOf(before)))],
  };
}

function columns(rows: readonly AnyBranchRow[], payload: (row: AnyBranchRow) => string | null): unknown[][] {
  return [
    rows.map((r) => r.txid), rows.map((r) => r.branch), rows.map((r) => r.state), rows.map((r) => r.protocol === '2pc' && r.onePhase), rows.map((r) => r.operation),
    rows.map(payload), rows.map((r) => textArray(peersOf(r))), rows.map((r) => jsonOrNull(r.reason)), rows.map((r) => jsonOrNull(r.result)),
    rows.map((r) => jsonOrNull(detailOf(r))), rows.map((r) => r.updatedAtMs),
  ];
}

/** Array literals, which `pg` would make as well, but character by character whatever is in them. Not for what may hold a quote: that is left to it. */
function literals(columns: readonly unknown[][]): unknown[] {
  return columns.map((column) => (column.every(isPlain) ? `{${column.map((value) => value ?? 'NULL').join(',')}}` : column));
}

/** Numbers, flags, null, and text of letters, digits, dashes and underscores that is no NULL. */
function isPlain(value: unknown): value is string | number | boolean | null {
  return typeof value === 'string' ? PLAIN.test(value) : value === null || typeof value === 'number' || typeof value === 'boolean';
}

const PLAIN = /^(?!null$)[\w-]+$/i;
