import type { BranchProgress, BranchSpec, Decision, Json, ProtocolName, Reason, Txid } from '#libs/protocol';
import type { UnfinishedTransaction } from '#libs/runtime';
import type { Pool } from '../pool.js';

interface Row {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly created_at: Date;
  readonly deadline_at: Date;
  readonly wait_for: 'decided' | 'finished';
  readonly branches: readonly BranchSpec[];
  readonly metadata: Json;
  readonly key: string | null;
  readonly request_hash: string | null;
  readonly decision: Decision | null;
  readonly reason: Reason | null;
  readonly progress: readonly BranchProgress[] | null;
  readonly decided_at: Date | null;
}

/** A page of a shard's transactions without END, in txid order. Reads `tx_open` only as far as the page goes. */
export async function loadUnfinished(pool: Pool, shard: number, after: Txid | null, limit: number): Promise<readonly UnfinishedTransaction[]> {
  const { rows } = await pool.query<Row>(`
    WITH page AS MATERIALIZED (
      SELECT txid FROM tx_open WHERE shard = $1 AND txid > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY txid LIMIT $3)
    SELECT b.txid, b.protocol, b.created_at, b.deadline_at, b.wait_for, b.branches, b.metadata, k.key, k.request_hash,
           d.decision, d.reason, d.branches AS progress, d.decided_at
      FROM page
      JOIN tx_begin b USING (txid)
      LEFT JOIN tx_decision d USING (txid)
      LEFT JOIN idempotency_key k ON k.key = b.idempotency_key
     ORDER BY b.txid`, [shard, after, limit]);
  return rows.map(unfinished);
}

function unfinished(row: Row): UnfinishedTransaction {
  const spec = {
    txid: row.txid, protocol: row.protocol, branches: row.branches, createdAtMs: row.created_at.getTime(), deadlineMs: row.deadline_at.getTime(), waitFor: row.wait_for,
  };
  const idempotency = row.key === null ? null : { key: row.key, requestHash: row.request_hash! };
  const register = row.decision === null ? null : { decision: row.decision, reason: row.reason, branches: row.progress!, atMs: row.decided_at!.getTime() };
  return { begin: { spec, metadata: row.metadata, idempotency }, register };
}
