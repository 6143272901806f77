import type { TransactionStatus } from '#libs/runtime';
import type { Pool } from '../pool.js';
import { STATUS } from './status.js';
import { firstUuidAt } from './txid-range.js';

export interface TransactionCounts {
  readonly sinceMs: number;
  /** Begun since then, and how those have been decided. Sagas are counted by their end. */
  readonly begun: number;
  readonly committed: number;
  readonly aborted: number;
  readonly completed: number;
  readonly compensated: number;
  /** Begun since then and aborted (sagas: compensated, or on the way to it), by code of the reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Whenever begun: undecided and no saga. */
  readonly pending: number;
  /** Sagas under way, whenever begun. */
  readonly running: number;
  readonly compensating: number;
  readonly needsAttention: number;
  /** Without END, whenever begun: all of the above, and what is decided but not yet acknowledged by all. */
  readonly unfinished: number;
}

interface Row {
  readonly begun: number;
  /** Of all protocols but sagas. */
  readonly commits: number;
  readonly aborts: number;
  readonly completed: number;
  readonly compensated: number;
  readonly reasons: Readonly<Record<string, number>> | null;
  readonly open: { readonly [S in TransactionStatus]?: number } | null;
  readonly unfinished: number;
}

const SAGA = (txid: string): string => `EXISTS (SELECT FROM tx_begin s WHERE s.protocol = 'saga' AND s.txid = ${txid})`;

/** Counts ranges of the primary keys; only aborts and what is open are looked into. */
export async function countTransactions(pool: Pool, sinceMs: number): Promise<TransactionCounts> {
  const { rows: [row] } = await pool.query<Row>(`
    WITH alone AS MATERIALIZED (
      SELECT outcome, reason FROM tx_end e
       WHERE NOT registered AND outcome IN ('committed', 'aborted') AND txid >= $1::uuid AND NOT EXISTS (SELECT FROM tx_decision d WHERE d.txid = e.txid)
    ), aborts AS MATERIALIZED (
      SELECT txid, reason FROM tx_decision WHERE decision = 'ABORT' AND txid >= $1::uuid)
    SELECT (SELECT count(*) FROM tx_begin WHERE txid >= $1::uuid)::int AS begun,
           ((SELECT count(*) FROM tx_decision WHERE txid >= $1::uuid) - (SELECT count(*) FROM aborts)
             - (SELECT count(*) FROM tx_begin s WHERE s.protocol = 'saga' AND s.txid >= $1::uuid
                  AND EXISTS (SELECT FROM tx_decision d WHERE d.txid = s.txid AND d.decision = 'COMMIT'))
             + (SELECT count(*) FROM alone WHERE outcome = 'committed'))::int AS commits,
           ((SELECT count(*) FROM aborts a WHERE NOT ${SAGA('a.txid')}) + (SELECT count(*) FROM alone WHERE outcome = 'aborted'))::int AS aborts,
           (SELECT count(*) FROM tx_end WHERE outcome = 'completed' AND txid >= $1::uuid)::int AS completed,
           (SELECT count(*) FROM tx_end WHERE outcome = 'compensated' AND txid >= $1::uuid)::int AS compensated,
           (SELECT jsonb_object_agg(code, n) FROM (
              SELECT coalesce(reason ->> 'code', 'UNKNOWN') AS code, count(*) AS n
                FROM (SELECT reason FROM aborts UNION ALL SELECT reason FROM alone WHERE outcome = 'aborted') AS aborted GROUP BY 1) AS by_code) AS reasons,
           (SELECT jsonb_object_agg(status, n) FROM (
              SELECT ${STATUS} AS status, count(*) AS n
                FROM tx_open o JOIN tx_begin b ON b.txid = o.txid LEFT JOIN tx_decision d ON d.txid = o.txid LEFT JOIN tx_end e ON e.txid = o.txid
               GROUP BY 1) AS by_status) AS open,
           (SELECT count(*) FROM tx_open)::int AS unfinished`, [firstUuidAt(sinceMs)]);
  const { begun, commits, aborts, completed, compensated, reasons, open, unfinished } = row!;
  return {
    sinceMs, begun, committed: commits, aborted: aborts, completed, compensated, reasons: reasons ?? {},
    pending: open?.pending ?? 0, running: open?.running ?? 0, compensating: open?.compensating ?? 0, needsAttention: open?.['needs-attention'] ?? 0, unfinished,
  };
}
