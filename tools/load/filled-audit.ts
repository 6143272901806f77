// The audit where millions of transactions lie that nobody ran: reading all of them after each run would take longer than the run.
import { firstUuidAt } from '#libs/postgres';
import type { Filled } from './fill.ts';
import type { AuditCheck } from './report-types.ts';
import type { Database } from '../start/settings.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;
type Databases = Readonly<Record<Database, Pool>>;

/** Of views in the place of the tables. */
export const AUDITED_SCHEMA = 'load_audited';

/**
 * Views of the tables without the filled transactions that had ended: what the shop's audit has to look at one by one. For the sums, money
 * and goods that they moved count as an account (and an SKU) of their own, added up anew at each look.
 */
export async function makeAuditedViews(databases: Databases, { finished }: Pick<Filled, 'finished'>): Promise<void> {
  const first = firstUuidAt(endMs(finished));
  const isFilled = (column: string): string => `starts_with(${column}, '${finished.prefix}-')`;
  const view = (table: string, where: string, more = ''): string => `CREATE VIEW ${AUDITED_SCHEMA}.${table} AS SELECT * FROM public.${table} WHERE ${where}${more};`;
  const later = (table: string): string => view(table, `txid >= '${first}'`);
  const moved = (total: string, ledger: string): string => ` UNION ALL SELECT 'filled', (SELECT coalesce(sum(${total}), 0) FROM public.${ledger} WHERE ${isFilled('order_id')}), 0`;
  const views: Readonly<Record<Database, string>> = {
    coordinator: ['tx_begin', 'tx_decision', 'tx_end'].map(later).join(''),
    orders: later('concordat_branch') + view('orders', `NOT ${isFilled('id')}`),
    payments: later('concordat_branch') + view('ledger_entry', `NOT ${isFilled('order_id')}`) + view('account', 'true', moved('amount_cents', 'ledger_entry')),
    inventory: later('concordat_branch') + view('stock_movement', `NOT ${isFilled('order_id')}`) + view('stock', 'true', moved('quantity', 'stock_movement')),
  };
  await Promise.all(Object.entries(views).map(([name, sql]) => databases[name as Database].query(`CREATE SCHEMA ${AUDITED_SCHEMA}; ${sql}`)));
}

interface Digest {
  readonly rows: number;
  readonly digest: string;
}

/** Sets of ids in different databases are the same when their numbers and the sums of their hashes are. */
const digestOf = (table: string, column: string, where: string): string => `
  SELECT count(*)::float8 AS rows, coalesce(sum(hashtextextended(${column}::text, 0)::numeric), 0)::text AS digest FROM ${table} WHERE ${where}`;

/** Order for order and branch for branch: every filled transaction that had ended is committed in all databases, and paid and taken. */
export async function auditFilled(databases: Databases, { finished }: Pick<Filled, 'finished'>): Promise<readonly AuditCheck[]> {
  const before = `txid < '${firstUuidAt(endMs(finished))}'`;
  const filled = (column: string): string => `starts_with(${column}, '${finished.prefix}-')`;
  const ask = async (database: Database, table: string, column: string, where: string): Promise<Digest & { readonly name: string }> => {
    const { rows: [row] } = await databases[database].query<Digest>(digestOf(`public.${table}`, column, where));
    return { name: `${database}.${table}`, ...row! };
  };
  const branches = `${before} AND state = 'committed'`;
  const [byTxid, byOrder, strays] = await Promise.all([
    Promise.all([
      ask('coordinator', 'tx_begin', 'txid', before), ask('coordinator', 'tx_decision', 'txid', `${before} AND decision = 'COMMIT'`), ask('coordinator', 'tx_end', 'txid', `${before} AND outcome = 'committed'`),
      ...(['orders', 'payments', 'inventory'] as const).map((name) => ask(name, 'concordat_branch', 'txid', branches)),
    ]),
    Promise.all([
      ask('orders', 'orders', "(id || ' ' || amount_cents || ' ' || quantity)", `${filled('id')} AND status = 'confirmed'`),
      ask('payments', 'ledger_entry', "(order_id || ' ' || amount_cents || ' ' || 1)", filled('order_id')), ask('inventory', 'stock_movement', "(order_id || ' ' || 1 || ' ' || quantity)", filled('order_id')),
    ]),
    Promise.all((['orders', 'payments', 'inventory'] as const).map((name) => ask(name, 'concordat_branch', 'txid', `${before} AND state <> 'committed'`))),
  ]);
  const expected = finished.to - finished.from;
  return [
    check('the filled transactions are committed everywhere', [...differing(byTxid, expected), ...strays.filter(({ rows }) => rows > 0).map(({ name, rows }) => `${name} has ${rows} that are not committed`)], expected),
    check('the filled orders are paid and taken', differing(byOrder, expected), expected),
  ];
}

export function differing(digests: readonly (Digest & { readonly name: string })[], expected: number): readonly string[] {
  const [first] = digests;
  return digests.flatMap(({ name, rows, digest }) => (rows === expected && digest === first!.digest ? [] : [`${name} has ${rows} of ${expected}${rows === expected ? ', but others than ' + first!.name : ''}`]));
}

function endMs({ fromMs, stepMs, to }: Filled['finished']): number {
  return Math.ceil(fromMs + stepMs * to) + 1;
}

function check(name: string, wrong: readonly string[], count: number): AuditCheck {
  return { name, holds: wrong.length === 0, detail: wrong.length === 0 ? `${count.toLocaleString('en-US')}, by number and digest` : wrong.join('; ') };
}
