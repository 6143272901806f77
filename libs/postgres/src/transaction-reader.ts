import type { Txid } from '#libs/protocol';
import { type OutcomeEvent, storedView, type TimelineEvent, type TransactionView } from '#libs/runtime';
import type { Pool } from './pool.js';
import { countTransactions, type TransactionCounts } from './sql/count-transactions.js';
import { type DecidedCursor, decidedSince } from './sql/decided-since.js';
import { listTransactions, type TransactionFilter, type TransactionPage } from './sql/list-transactions.js';
import { STORED_COLUMNS, STORED_JOINS, storedTransaction, type StoredRow } from './stored-transaction.js';
import { decodeTimeline } from './timeline.js';

/**
 * The read side: what is durable, of any shard, whoever owns it. Its statements have no names: a named one would keep a plan that was made
 * while the tables were empty.
 */
export class TransactionReader {
  constructor(private readonly pool: Pool) {}

  /** Transactions that were never begun are left out. */
  async read(txids: readonly Txid[]): Promise<ReadonlyMap<Txid, TransactionView>> {
    if (txids.length === 0) return new Map();
    const { rows } = await this.pool.query<StoredRow>(`SELECT ${STORED_COLUMNS} FROM tx_begin b ${STORED_JOINS} WHERE b.txid = ANY ($1::uuid[])`, [txids]);
    return new Map(rows.map((row) => [row.txid, storedView(storedTransaction(row))]));
  }

  /**
   * What has been stored of the timeline so far; null: never begun. DECIDE and END each carry what happened since the row before. The
   * BEGIN, of which a crash may have taken the first telling, is always there.
   */
  async timeline(txid: Txid): Promise<readonly TimelineEvent[] | null> {
    const { rows: [row] } = await this.pool.query<{ created_at: Date; decided: string | null; ended: string | null }>(
      `SELECT b.created_at, d.timeline AS decided, e.timeline AS ended FROM tx_begin b LEFT JOIN tx_decision d ON d.txid = b.txid LEFT JOIN tx_end e ON e.txid = b.txid WHERE b.txid = $1`, [txid]);
    if (row === undefined) return null;
    const events = decodeTimeline([row.decided, row.ended].filter((part) => part !== null));
    if (events.some((e) => e.type === 'record' && e.name === 'BEGIN')) return events;
    return [{ atMs: row.created_at.getTime(), type: 'record', name: 'BEGIN', from: 'coordinator', to: 'store' }, ...events];
  }

  /** Newest first. @throws InvalidCursorError */
  list(filter: TransactionFilter): Promise<TransactionPage> {
    return listTransactions(this.pool, filter);
  }

  /** Who has the key. */
  async idempotency(key: string): Promise<{ readonly txid: Txid; readonly requestHash: string } | null> {
    const { rows } = await this.pool.query<{ txid: Txid; requestHash: string }>('SELECT txid, request_hash AS "requestHash" FROM idempotency_key WHERE key = $1', [key]);
    return rows[0] ?? null;
  }

  /** Counts of the transactions begun since `sinceMs` (default: an hour ago), and of all that are unfinished. */
  counts(sinceMs: number = Date.now() - 3_600_000): Promise<TransactionCounts> {
    return countTransactions(this.pool, sinceMs);
  }

  /** Outcomes after the cursor in the order of their decision, for event streams that read along. */
  decidedSince(cursor: DecidedCursor, limit: number): Promise<readonly OutcomeEvent[]> {
    return decidedSince(this.pool, cursor, limit);
  }
}
