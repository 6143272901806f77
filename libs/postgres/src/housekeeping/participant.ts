import type { PoolClient } from 'pg';
import type { Txid } from '#libs/protocol';
import { UNDECIDED } from '../sql/branches.js';
import { firstUuidAt, NIL_UUID } from '../sql/txid-range.js';
import type { Batch, Keeping } from './keeping.js';
import { partitionName, TABLE_SETS } from './tables.js';

/** May take its time: nothing waits for it. */
const SCAN_TIMEOUT_MS = 600_000;

/**
 * A site's rows. They go once they are old and nothing has changed them for as long. A branch that has voted and does not know the decision
 * stays, with everything of its partition. That rows which are gone prove nothing is a rule of the machines (`rowsKeptMs`).
 */
export const PARTICIPANT: Keeping = {
  announce: async () => undefined,

  async unfinished(client, range, limit) {
    const { rows } = await client.query<{ txid: Txid }>(`SELECT txid FROM concordat_branch WHERE ${UNDECIDED} AND txid >= $1 AND txid < $2 ORDER BY txid, branch LIMIT $3`, [
      firstUuidAt(range.fromMs), firstUuidAt(range.toMs), limit,
    ]);
    return [...new Set(rows.map((row) => row.txid))];
  },

  async changedSince(client, range, sinceMs) {
    for (const table of TABLE_SETS.participant.tables) {
      const text = `SELECT FROM ${partitionName(table, range)} WHERE updated_at >= to_timestamp($1::float8 / 1000) LIMIT 1`;
      const query = { text, values: [sinceMs], query_timeout: SCAN_TIMEOUT_MS };
      if ((await client.query(query)).rows.length > 0) return true;
    }
    return false;
  },

  beforeDetach: async () => ({}),

  async sweep(client, { cutoffMs }, sweep) {
    return {
      concordat_branch_default: await sweep.through((after, limit) => sweepDefault(client, 'concordat_branch', `NOT (t.${UNDECIDED})`, cutoffMs, after, limit)),
      concordat_acceptor_default: await sweep.through((after, limit) => sweepDefault(client, 'concordat_acceptor', NOBODY_UNDECIDED, cutoffMs, after, limit)),
      concordat_leader_default: await sweep.through((after, limit) => sweepDefault(client, 'concordat_leader', NOBODY_UNDECIDED, cutoffMs, after, limit)),
    };
  },
};

const NOBODY_UNDECIDED = `NOT EXISTS (SELECT FROM concordat_branch b WHERE b.txid = t.txid AND b.${UNDECIDED})`;

async function sweepDefault(client: PoolClient, table: string, mayGo: string, cutoffMs: number, after: string | null, limit: number): Promise<Batch> {
  const { rows: [row] } = await client.query<Batch>(`
    WITH page AS MATERIALIZED (SELECT txid FROM ${table}_default WHERE txid > $1 AND txid < $2 ORDER BY txid LIMIT $3),
         gone AS (
           DELETE FROM ${table}_default t
            WHERE t.txid IN (SELECT txid FROM page) AND t.updated_at < to_timestamp($4::float8 / 1000) AND ${mayGo} RETURNING t.txid)
    SELECT (SELECT count(*) FROM page)::int AS seen, (SELECT count(*) FROM gone)::int AS deleted, (SELECT txid FROM page ORDER BY txid DESC LIMIT 1) AS last`,
  [after ?? NIL_UUID, firstUuidAt(cutoffMs), limit, cutoffMs]);
  return row!;
}
