import { isTxid, type ProtocolName, type Txid } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';
import { InvalidCursorError } from '../errors.js';
import type { Pool } from '../pool.js';
import { toView, VIEW_COLUMNS, type ViewRow } from '../transaction-view.js';
import { firstUuidAt } from './txid-range.js';

export interface TransactionFilter {
  readonly status?: TransactionView['status'];
  readonly protocol?: ProtocolName;
  /** Name of a participant with at least one branch. */
  readonly participant?: string;
  /** Code of the reason of an abort; implies status aborted. */
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

/** Where the rows come from: the narrowest index that the status has. `id` is the column that the pages go by. */
interface Source {
  readonly from: string;
  readonly id: string;
  readonly where: readonly string[];
}

const OF_DECISION = 'tx_decision d JOIN tx_begin b ON b.txid = d.txid LEFT JOIN tx_end e ON e.txid = d.txid';
const OF_END = 'tx_end e JOIN tx_begin b ON b.txid = e.txid LEFT JOIN tx_decision d ON d.txid = e.txid';
const OF_BEGIN = 'tx_begin b LEFT JOIN tx_decision d ON d.txid = b.txid LEFT JOIN tx_end e ON e.txid = b.txid';
const OF_OPEN = 'tx_open o JOIN tx_begin b ON b.txid = o.txid LEFT JOIN tx_decision d ON d.txid = b.txid LEFT JOIN tx_end e ON e.txid = b.txid';

function sources(status: TransactionView['status'] | undefined): readonly Source[] {
  switch (status) {
    case 'pending':
      return [{ from: OF_OPEN, id: 'o.txid', where: ['d.txid IS NULL', 'e.txid IS NULL'] }];
    case 'committed':
      return [{ from: OF_BEGIN, id: 'b.txid', where: ["(d.decision = 'COMMIT' OR (d.txid IS NULL AND e.outcome = 'committed'))"] }];
    case 'aborted':
      return [
        { from: OF_DECISION, id: 'd.txid', where: ["d.decision = 'ABORT'"] },
        { from: OF_END, id: 'e.txid', where: ["e.outcome = 'aborted'", 'NOT e.registered'] },
      ];
    default:
      return [{ from: OF_BEGIN, id: 'b.txid', where: [] }];
  }
}

/** A page, newest first. Each source gives at most a page by its own index; the pages are merged. */
export async function listTransactions(pool: Pool, filter: TransactionFilter): Promise<TransactionPage> {
  const limit = Math.min(Math.max(filter.limit ?? 50, 1), 1000);
  const values: unknown[] = [];
  const bind = (value: unknown): string => `$${values.push(value)}`;
  const status = filter.reason === undefined ? filter.status : 'aborted';
  if (filter.reason !== undefined && (filter.status ?? 'aborted') !== 'aborted') return { items: [], nextCursor: null };
  const selects = sources(status).map((source) => {
    const where = [...source.where, ...conditions(filter, source, bind)];
    return `(SELECT ${VIEW_COLUMNS} FROM ${source.from} WHERE ${['true', ...where].join(' AND ')} ORDER BY ${source.id} DESC LIMIT ${limit + 1})`;
  });
  const { rows } = await pool.query<ViewRow>(`SELECT * FROM (${selects.join(' UNION ALL ')}) AS pages ORDER BY txid DESC LIMIT ${limit + 1}`, values);
  const items = rows.slice(0, limit).map(toView);
  return { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.txid) : null };
}

function conditions(filter: TransactionFilter, source: Source, bind: (value: unknown) => string): string[] {
  const { id } = source;
  const result: string[] = [];
  if (filter.cursor !== undefined) result.push(`${id} < ${bind(decodeCursor(filter.cursor))}::uuid`);
  if (filter.sinceMs !== undefined) result.push(`${id} >= ${bind(firstUuidAt(filter.sinceMs))}::uuid`);
  if (filter.untilMs !== undefined) result.push(`${id} < ${bind(firstUuidAt(filter.untilMs))}::uuid`);
  if (filter.protocol !== undefined) result.push(`b.protocol = ${bind(filter.protocol)}`);
  if (filter.participant !== undefined) result.push(`b.participants @> ARRAY[${bind(filter.participant)}::text]`);
  if (filter.reason !== undefined) result.push(`${source.from === OF_DECISION ? 'd' : 'e'}.reason ->> 'code' = ${bind(filter.reason)}`);
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
