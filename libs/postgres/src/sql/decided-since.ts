import type { Decision, ProtocolName, Reason, TransactionOutcome, Txid } from '#libs/protocol';
import type { OutcomeEvent } from '#libs/runtime';
import type { Pool } from '../pool.js';
import { NIL_UUID } from './txid-range.js';

/** Behind which event to go on; without a txid: with the first one at that time or later. */
export interface DecidedCursor {
  readonly atMs: number;
  readonly txid?: Txid;
}

interface Row {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly outcome: TransactionOutcome | Decision;
  readonly reason: Reason | null;
  readonly at: Date;
}

const STATUS: Readonly<Record<Row['outcome'], TransactionOutcome>> = {
  COMMIT: 'committed', ABORT: 'aborted', committed: 'committed', aborted: 'aborted', completed: 'completed', compensated: 'compensated',
};

/**
 * Each outcome once: at its decision; at its end, if there was no decision or if it is a saga's. In order of (that time, txid). Rows become
 * visible a flush later than their time says, and coordinators' clocks differ: a reader that must not miss any goes back some seconds with
 * each read and drops what it has seen.
 */
export async function decidedSince(pool: Pool, cursor: DecidedCursor, limit: number): Promise<readonly OutcomeEvent[]> {
  const { rows } = await pool.query<Row>(`
    WITH decided AS (
      (SELECT txid, decision AS outcome, reason, decided_at AS at FROM tx_decision d
        WHERE decided_at >= to_timestamp($1::float8 / 1000) AND (decided_at, txid) > (to_timestamp($1::float8 / 1000), $2::uuid)
          AND NOT EXISTS (SELECT FROM tx_begin s WHERE s.protocol = 'saga' AND s.txid = d.txid)
        ORDER BY decided_at, txid LIMIT $3)
      UNION ALL
      (SELECT txid, outcome, reason, finished_at FROM tx_end e
        WHERE finished_at >= to_timestamp($1::float8 / 1000) AND (finished_at, txid) > (to_timestamp($1::float8 / 1000), $2::uuid)
          AND (outcome IN ('completed', 'compensated') OR (NOT registered AND NOT EXISTS (SELECT FROM tx_decision d WHERE d.txid = e.txid)))
        ORDER BY finished_at, txid LIMIT $3))
    SELECT txid, b.protocol, outcome, reason, at FROM decided JOIN tx_begin b USING (txid) ORDER BY at, txid LIMIT $3`,
  [cursor.atMs, cursor.txid ?? NIL_UUID, limit]);
  return rows.map((row) => ({ txid: row.txid, protocol: row.protocol, status: STATUS[row.outcome], reason: row.reason, decidedAtMs: row.at.getTime() }));
}
