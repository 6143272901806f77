import { isTxid, type ProtocolName, type Txid } from '#libs/protocol';
import { storedView, type TransactionStatus, type TransactionView } from '#libs/runtime';
import { InvalidCursorError } from '../errors.js';
import type { Pool } from '../pool.js';
import { DECISION_JOIN, END_JOIN, KEY_JOIN, STORED_COLUMNS, STORED_JOINS, storedTransaction, type StoredRow } from '../stored-transaction.js';
import { STATUS } from './status.js';
import { firstUuidAt } from './txid-range.js';

export interface TransactionFilter {
  readonly status?: TransactionStatus;
  readonly protocol?: ProtocolName;
  /** Name of a participant with at least one branch. */
  readonly participant?: string;
  /** Code of the reason of an abort, also of a saga that is or will be compensated. */
  readonly reason?: string;
  /** Begun at or after. */
  readonly sinceMs?: number;
  /** Begun before. */
  readonly untilMs?: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
  /** 1..1000, default 50. */
  readonly limit?: number;
}

export interface TransactionPage {
  readonly items: readonly TransactionView[];
  /** null: this was the last page. */
  readonly nextCursor: string | null;
}

/** Where the rows come from: the narrowest index that the filter has. `id` is the column that the pages go by. */
interface Source {
  readonly from: string;
  readonly id: string;
  /** What the index is about; whether a row really belongs to the list is asked besides. */
  readonly where: readonly string[];
}

const OF_BEGIN = `tx_begin b ${STORED_JOINS}`;
const OF_OPEN = `tx_open o JOIN tx_begin b ON b.txid = o.txid ${STORED_JOINS}`;
const OF_DECISION = `tx_decision d JOIN tx_begin b ON b.txid = d.txid ${END_JOIN} ${KEY_JOIN}`;
const OF_END = `tx_end e JOIN tx_begin b ON b.txid = e.txid ${DECISION_JOIN} ${KEY_JOIN}`;

const ABORT_DECISIONS: Source = { from: OF_DECISION, id: 'd.txid', where: ["d.decision = 'ABORT'"] };
const UNREGISTERED_ABORTS: Source = { from: OF_END, id: 'e.txid', where: ["e.outcome = 'aborted'", 'NOT e.registered', 'd.txid IS NULL'] };
const SAGAS_ENDED = (outcome: 'completed' | 'compensated'): Source => ({ from: OF_END, id: 'e.txid', where: [`e.outcome = '${outcome}'`] });
const OPEN: Source = { from: OF_OPEN, id: 'o.txid', where: [] };
const ALL: Source = { from: OF_BEGIN, id: 'b.txid', where: [] };

function sources({ status, reason }: TransactionFilter): readonly Source[] {
  if (reason !== undefined) return [ABORT_DECISIONS, UNREGISTERED_ABORTS];
  switch (status) {
    case 'pending':
    case 'running':
    case 'compensating':
    case 'needs-attention':
      return [OPEN];
    case 'aborted':
      return [ABORT_DECISIONS, UNREGISTERED_ABORTS];
    case 'completed':
    case 'compensated':
      return [SAGAS_ENDED(status)];
    case 'committed':
    case undefined:
      return [ALL];
  }
}

/** A page, newest first. Each source gives at most a page by its own index; the pages are merged. */
export async function listTransactions(pool: Pool, filter: TransactionFilter): Promise<TransactionPage> {
  const limit = Math.min(Math.max(filter.limit ?? 50, 1), 1000);
  const values: unknown[] = [];
  const bind = (value: unknown): string => `$${values.push(value)}`;
  const selects = sources(filter).map((source) => {
    const where = [...source.where, ...conditions(filter, source, bind)];
    return `(SELECT ${STORED_COLUMNS} FROM ${source.from} WHERE ${['true', ...where].join(' AND ')} ORDER BY ${source.id} DESC LIMIT ${limit + 1})`;
  });
  const { rows } = await pool.query<StoredRow>(`SELECT * FROM (${selects.join(' UNION ALL ')}) AS pages ORDER BY txid DESC LIMIT ${limit + 1}`, values);
  const items = rows.slice(0, limit).map((row) => storedView(storedTransaction(row)));
  return { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.txid) : null };
}

function conditions(filter: TransactionFilter, source: Source, bind: (value: unknown) => string): string[] {
  const { id } = source;
  const result: string[] = [];
  if (filter.status !== undefined) result.push(`${STATUS} = ${bind(filter.status)}`);
  if (filter.cursor !== undefined) result.push(`${id} < ${bind(decodeCursor(filter.cursor))}::uuid`);
  if (filter.sinceMs !== undefined) result.push(`${id} >= ${bind(firstUuidAt(filter.sinceMs))}::uuid`);
  if (filter.untilMs !== undefined) result.push(`${id} < ${bind(firstUuidAt(filter.untilMs))}::uuid`);
  if (filter.protocol !== undefined) result.push(`b.protocol = ${bind(filter.protocol)}`);
  if (filter.participant !== undefined) result.push(`b.participants @> ARRAY[${bind(filter.participant)}::text]`);
  if (filter.reason !== undefined) result.push(`${source === ABORT_DECISIONS ? 'd' : 'e'}.reason ->> 'code' = ${bind(filter.reason)}`);
  return result;
}

function encodeCursor(txid: Txid): string {
  return Buffer.from(txid.replaceAll('-', ''), 'hex').toString('base64url');
}

function decodeCursor(cursor: string): Txid {
  const hex = Buffer.from(cursor, 'base64url').toString('hex');
  const txid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  if (!isTxid(txid) || encodeCursor(txid) !== cursor) throw new InvalidCursorError();
  return txid;
}
