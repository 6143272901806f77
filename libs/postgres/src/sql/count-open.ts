import type { ProtocolName } from '#libs/protocol';
import type { Pool } from '../pool.js';

/** Transactions without END of one protocol. */
export interface OpenTransactions {
  readonly protocol: ProtocolName;
  readonly unfinished: number;
  readonly undecided: number;
  /** Undecided although their deadline has passed. */
  readonly overdue: number;
  readonly needAttention: number;
  /** Of the oldest undecided one, by the clock of the database; 0 if there is none. */
  readonly oldestUndecidedMs: number;
}

/** What is open in these shards; protocols without any are left out. Reads as many rows as there are open transactions. */
export async function countOpen(pool: Pool, shards: readonly number[]): Promise<readonly OpenTransactions[]> {
  if (shards.length === 0) return [];
  const { rows } = await pool.query<OpenTransactions>(`
    SELECT b.protocol, count(*)::int AS unfinished,
           (count(*) FILTER (WHERE d.txid IS NULL))::int AS undecided,
           (count(*) FILTER (WHERE d.txid IS NULL AND b.deadline_at < now()))::int AS overdue,
           (count(*) FILTER (WHERE p.txid IS NOT NULL))::int AS "needAttention",
           coalesce(greatest(0, extract(epoch FROM now() - min(b.created_at) FILTER (WHERE d.txid IS NULL)) * 1000), 0)::float8 AS "oldestUndecidedMs"
      FROM tx_open o JOIN tx_begin b ON b.txid = o.txid LEFT JOIN tx_decision d ON d.txid = o.txid
      LEFT JOIN tx_progress p ON p.txid = o.txid AND p.kind = 'ATTENTION'
     WHERE o.shard = ANY ($1::int[]) GROUP BY b.protocol ORDER BY b.protocol`, [shards]);
  return rows;
}
