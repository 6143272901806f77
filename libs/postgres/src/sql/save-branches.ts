import type { BranchRow } from '#libs/protocol';
import type { EntityManager } from 'typeorm';
import { BranchRaceError } from '../errors.js';
import { json, jsonOrNull, textArray } from './encode.js';

/** @throws BranchRaceError when one of the rows exists: another process inserted it since `load` found nothing */
export async function insertBranches(manager: EntityManager, rows: readonly BranchRow[]): Promise<void> {
  const inserted: unknown[] = await manager.query(`
    INSERT INTO concordat_branch (txid, branch, state, one_phase, operation, payload, peers, reason, result, updated_at)
    SELECT r.txid, r.branch, r.state, r.one_phase, r.operation, r.payload, r.peers::text[], r.reason, r.result, to_timestamp(r.updated_ms / 1000)
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::float8[])
           AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, updated_ms)
     ORDER BY r.txid, r.branch
        ON CONFLICT DO NOTHING
    RETURNING branch`, columns(rows, (row) => json(row.payload)));
  if (inserted.length < rows.length) throw new BranchRaceError(rows.length - inserted.length);
}

/** A payload that is the very one that was loaded is neither sent nor written again. */
export async function updateBranches(manager: EntityManager, rows: readonly { readonly row: BranchRow; readonly before: BranchRow }[]): Promise<void> {
  const unchanged = new Set(rows.filter(({ row, before }) => row.payload === before.payload).map(({ row }) => row));
  await manager.query(`
    UPDATE concordat_branch b
       SET state = r.state, one_phase = r.one_phase, operation = r.operation, payload = coalesce(r.payload, b.payload), peers = r.peers::text[],
           reason = r.reason, result = r.result, updated_at = to_timestamp(r.updated_ms / 1000)
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::text[], $8::jsonb[], $9::jsonb[], $10::float8[])
           AS r (txid, branch, state, one_phase, operation, payload, peers, reason, result, updated_ms)
     WHERE b.txid = r.txid AND b.branch = r.branch`, columns(rows.map(({ row }) => row), (row) => (unchanged.has(row) ? null : json(row.payload))));
}

function columns(rows: readonly BranchRow[], payload: (row: BranchRow) => string | null): unknown[] {
  return [
    rows.map((r) => r.txid), rows.map((r) => r.branch), rows.map((r) => r.state), rows.map((r) => r.onePhase), rows.map((r) => r.operation), rows.map(payload),
    rows.map((r) => textArray(r.peers)), rows.map((r) => jsonOrNull(r.reason)), rows.map((r) => jsonOrNull(r.result)), rows.map((r) => r.updatedAtMs),
  ];
}
