import type { Decision, OutcomeStatus, ProtocolName, Reason, Txid } from '#libs/protocol';
import type { OutcomeEvent } from '#libs/runtime';
import type { Pool } from '../pool.js';

/** Behind which event to go on; without a txid: with the first one at that time or later. */
export interface DecidedCursor {
  readonly atMs: number;
  readonly txid?: Txid;
}

interface Row {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly outcome: OutcomeStatus | Decision;
  readonly reason: Reason | null;
  readonly at: Date;
}

const STATUS: Readonly<Record<Row['outcome'], OutcomeStatus>> = { COMMIT: 'committed', ABORT: 'aborted', committed: 'committed', aborted: 'aborted' };

/**
 * In order of (time of decision, txid). Decisions become visible a flush later than their time says, and coordinators' clocks differ:
 * a reader that must not miss any goes back some seconds with each read and drops what it has seen.
 */
export async function decidedSince(pool: Pool, cursor: DecidedCursor, limit: number): Promise<readonly OutcomeEvent[]> {
  const { rows } = await pool.query<Row>(`
    WITH decided AS (
      (SELECT txid, decision AS outcome, reason, decided_at AS at FROM tx_decision
        WHERE decided_at >= to_timestamp($1::float8 / 1000) AND (decided_at, txid) > (to_timestamp($1::float8 / 1000), $2::uuid)
        ORDER BY decided_at, txid LIMIT $3)
      UNION ALL
      (SELECT txid, outcome, reason, finished_at FROM tx_end
        WHERE NOT registered AND finished_at >= to_timestamp($1::float8 / 1000) AND (finished_at, txid) > (to_timestamp($1::float8 / 1000), $2::uuid)
        ORDER BY finished_at, txid LIMIT $3))
    SELECT txid, b.protocol, outcome, reason, at FROM decided JOIN tx_begin b USING (txid) ORDER BY at, txid LIMIT $3`,
  [cursor.atMs, cursor.txid ?? '00000000-0000-0000-0000-000000000000', limit]);
  return rows.map((row) => ({ txid: row.txid, protocol: row.protocol, status: STATUS[row.outcome], reason: row.reason, decidedAtMs: row.at.getTime() }));
}
