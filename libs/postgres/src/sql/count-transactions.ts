import type { Pool } from '../pool.js';
import { firstUuidAt } from './txid-range.js';

export interface TransactionCounts {
  readonly sinceMs: number;
  /** Begun since then, and how those have been decided. */
  readonly begun: number;
  readonly committed: number;
  readonly aborted: number;
  /** Aborted since then, by code of the reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Undecided, whenever begun. */
  readonly pending: number;
  /** Without END, whenever begun: pending, or decided and not yet acknowledged by all. */
  readonly unfinished: number;
}

interface Row {
  readonly begun: number;
  readonly ended_alone: number;
  readonly decided: number;
  readonly reasons: Readonly<Record<string, number>> | null;
  readonly pending: number;
  readonly unfinished: number;
}

/** Counts ranges of the primary keys; only aborts are looked into. */
export async function countTransactions(pool: Pool, sinceMs: number): Promise<TransactionCounts> {
  const { rows: [row] } = await pool.query<Row>(`
    SELECT (SELECT count(*) FROM tx_begin WHERE txid >= $1::uuid)::int AS begun,
           (SELECT count(*) FROM tx_decision WHERE txid >= $1::uuid)::int AS decided,
           (SELECT count(*) FROM tx_end WHERE txid >= $1::uuid AND NOT registered)::int AS ended_alone,
           (SELECT jsonb_object_agg(code, n) FROM (
              SELECT coalesce(reason ->> 'code', 'UNKNOWN') AS code, count(*) AS n FROM (
                SELECT reason FROM tx_decision WHERE decision = 'ABORT' AND txid >= $1::uuid
                UNION ALL
                SELECT reason FROM tx_end WHERE outcome = 'aborted' AND NOT registered AND txid >= $1::uuid) AS aborts
               GROUP BY 1) AS by_code) AS reasons,
           (SELECT count(*) FROM tx_open o WHERE NOT EXISTS (SELECT FROM tx_decision d WHERE d.txid = o.txid))::int AS pending,
           (SELECT count(*) FROM tx_open)::int AS unfinished`, [firstUuidAt(sinceMs)]);
  const { begun, decided, ended_alone, reasons, pending, unfinished } = row!;
  const aborted = Object.values(reasons ?? {}).reduce((sum, n) => sum + n, 0);
  return { sinceMs, begun, committed: decided + ended_alone - aborted, aborted, reasons: reasons ?? {}, pending, unfinished };
}
