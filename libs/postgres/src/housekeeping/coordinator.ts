import type { PoolClient } from 'pg';
import type { Txid } from '#libs/protocol';
import { firstUuidAt, NIL_UUID } from '../sql/txid-range.js';
import type { Batch, Keeping } from './keeping.js';
import { partitionName, type TimeRange } from './tables.js';

/**
 * The coordinator's tables. A transaction goes with its decision, its end and its idempotency key, once it has ended, and that long ago, too.
 * What is open stays, with everything of its partition.
 */
export const COORDINATOR: Keeping = {
  async announce(client, { cutoffMs }) {
    await client.query('UPDATE tx_horizon SET txid = $1 WHERE txid < $1', [firstUuidAt(cutoffMs)]);
  },

  async unfinished(client, range, limit) {
    const { rows } = await client.query<{ txid: Txid }>('SELECT txid FROM tx_open WHERE txid >= $1 AND txid < $2 ORDER BY txid LIMIT $3', [firstUuidAt(range.fromMs), firstUuidAt(range.toMs), limit]);
    return rows.map((row) => row.txid);
  },

  async changedSince(client, range, sinceMs) {
    const { rows } = await client.query(`SELECT FROM ${partitionName('tx_end', range)} WHERE finished_at >= to_timestamp($1::float8 / 1000) LIMIT 1`, [sinceMs]);
    return rows.length > 0;
  },

  /** Keys have no partitions: they are found by the transactions that own them. */
  async beforeDetach(client, range, sweep) {
    const deleted = await sweep.through((after, limit) => purgeKeys(client, range, after, limit));
    return { idempotency_key: deleted };
  },

  async sweep(client, times, sweep) {
    return {
      tx_begin_default: await sweep.through((after, limit) => sweepBegun(client, times.cutoffMs, after, limit)),
      tx_decision_default: await sweep.through((after, limit) => sweepNeverBegun(client, 'tx_decision', 'decided_at', times.cutoffMs, after, limit)),
      tx_end_default: await sweep.through((after, limit) => sweepNeverBegun(client, 'tx_end', 'finished_at', times.cutoffMs, after, limit)),
      audit: await sweep.repeat((limit) => deleteBefore(client, 'audit', 'id', 'at', times.auditCutoffMs, limit)),
      participant_instance: await sweep.repeat((limit) => deleteBefore(client, 'participant_instance', 'participant, instance', 'last_seen_at', times.instanceCutoffMs, limit)),
    };
  },
};

async function purgeKeys(client: PoolClient, range: TimeRange, after: string | null, limit: number): Promise<Batch> {
  const { rows: [row] } = await client.query<Batch>(`
    WITH page AS MATERIALIZED (SELECT txid, idempotency_key AS key FROM ${partitionName('tx_begin', range)} WHERE txid > $1 ORDER BY txid LIMIT $2),
         gone AS (DELETE FROM idempotency_key k USING page WHERE k.key = page.key AND k.txid = page.txid RETURNING k.txid)
    SELECT (SELECT count(*) FROM page)::int AS seen, (SELECT count(*) FROM gone)::int AS deleted, (SELECT txid FROM page ORDER BY txid DESC LIMIT 1) AS last`, [after ?? NIL_UUID, limit]);
  return row!;
}

async function sweepBegun(client: PoolClient, cutoffMs: number, after: string | null, limit: number): Promise<Batch> {
  const { rows: [row] } = await client.query<Batch>(`
    WITH page AS MATERIALIZED (
           SELECT txid, shard, idempotency_key AS key FROM tx_begin_default WHERE txid > $1 AND txid < $2 ORDER BY txid LIMIT $3),
         old AS MATERIALIZED (
           SELECT txid, key FROM page b
            WHERE NOT EXISTS (SELECT FROM tx_open o WHERE o.shard = b.shard AND o.txid = b.txid)
              AND NOT EXISTS (SELECT FROM tx_end_default e WHERE e.txid = b.txid AND e.finished_at >= to_timestamp($4::float8 / 1000))),
         keys AS (DELETE FROM idempotency_key k USING old WHERE k.key = old.key AND k.txid = old.txid),
         decisions AS (DELETE FROM tx_decision_default d USING old WHERE d.txid = old.txid),
         ends AS (DELETE FROM tx_end_default e USING old WHERE e.txid = old.txid),
         gone AS (DELETE FROM tx_begin_default b USING old WHERE b.txid = old.txid RETURNING b.txid)
    SELECT (SELECT count(*) FROM page)::int AS seen, (SELECT count(*) FROM gone)::int AS deleted, (SELECT txid FROM page ORDER BY txid DESC LIMIT 1) AS last`,
  [after ?? NIL_UUID, firstUuidAt(cutoffMs), limit, cutoffMs]);
  return row!;
}

/** A presumed abort of something that was never begun here. */
async function sweepNeverBegun(client: PoolClient, table: string, time: string, cutoffMs: number, after: string | null, limit: number): Promise<Batch> {
  const { rows: [row] } = await client.query<Batch>(`
    WITH page AS MATERIALIZED (SELECT txid, ${time} AS at FROM ${table}_default WHERE txid > $1 AND txid < $2 ORDER BY txid LIMIT $3),
         gone AS (DELETE FROM ${table}_default t USING page
                   WHERE t.txid = page.txid AND page.at < to_timestamp($4::float8 / 1000) AND NOT EXISTS (SELECT FROM tx_begin b WHERE b.txid = page.txid) RETURNING t.txid)
    SELECT (SELECT count(*) FROM page)::int AS seen, (SELECT count(*) FROM gone)::int AS deleted, (SELECT txid FROM page ORDER BY txid DESC LIMIT 1) AS last`,
  [after ?? NIL_UUID, firstUuidAt(cutoffMs), limit, cutoffMs]);
  return row!;
}

async function deleteBefore(client: PoolClient, table: string, key: string, time: string, beforeMs: number, limit: number): Promise<number> {
  const { rowCount } = await client.query(`
    DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${time} < to_timestamp($1::float8 / 1000) ORDER BY ${time} LIMIT $2 FOR UPDATE SKIP LOCKED)`, [beforeMs, limit]);
  return rowCount ?? 0;
}
