// The audit of several runs on one stack: after each run only of what it wrote, in the end of everything.
import { createPool } from '#libs/postgres';
import type { Txid } from '#libs/protocol';

type Pool = ReturnType<typeof createPool>;

/** Of the views that an audit reads in the place of the tables. */
const SCHEMA = 'load_window';

/** Tables that only grow, by the column whose order is that of time; and what the sums of a table go with: what has moved out of it. */
interface Shape {
  readonly byTxid?: readonly string[];
  /** The first one must be there, or there is nothing to see yet. */
  readonly byOrder?: Readonly<Record<string, string>>;
  readonly sums?: readonly { readonly table: string; readonly row: (moved: string) => string; readonly ledger: string; readonly amount: string }[];
}

const SITE = ['concordat_branch', 'concordat_acceptor'];
const row = (...zeros: readonly string[]) => (moved: string): string => [`'(audited)'`, `${moved}::bigint`, ...zeros].join(', ');
const [MONEY, GOODS] = [{ table: 'account', ledger: 'ledger_entry', amount: 'amount_cents' }, { table: 'stock', ledger: 'stock_movement', amount: 'quantity' }];

export const SHAPES = {
  coordinator: { byTxid: ['tx_begin', 'tx_decision', 'tx_end'] },
  orders: { byTxid: SITE, byOrder: { orders: 'id' } },
  payments: { byTxid: SITE, byOrder: { ledger_entry: 'order_id' }, sums: [{ ...MONEY, row: row('0::bigint') }] },
  inventory: { byTxid: SITE, byOrder: { stock_movement: 'order_id' }, sums: [{ ...GOODS, row: row('0::bigint') }] },
  extra: { byTxid: SITE, byOrder: { supply_movement: 'order_id' }, sums: [{ table: 'supply', ledger: 'supply_movement', amount: 'amount', row: row('0::bigint') }] },
  monolith: { byOrder: { orders: 'id', ledger_entry: 'order_id', stock_movement: 'order_id' }, sums: [{ ...MONEY, row: row() }, { ...GOODS, row: row() }] },
} as const satisfies Readonly<Record<string, Shape>>;

/**
 * A database as the next audit is to see it: of the rows that were audited already only what they moved is left, as one account (SKU, key)
 * more. Until the first `advance` everything is seen.
 */
export class WindowedDatabase {
  /** Reads the views. */
  readonly pool: Pool;
  private readonly shape: Shape;
  private readonly moved = new Map<string, bigint>();

  constructor(url: string, kind: keyof typeof SHAPES, open: (url: string) => Pool) {
    const viewed = new URL(url);
    viewed.searchParams.set('options', `-c search_path=${SCHEMA},public`);
    this.pool = open(viewed.href);
    this.shape = SHAPES[kind];
  }

  /** Of what is seen the last one; null: there is none. */
  async lastTxid(): Promise<Txid | null> {
    const { rows } = await this.pool.query<{ txid: Txid }>('SELECT txid FROM tx_begin ORDER BY txid DESC LIMIT 1');
    return rows[0]?.txid ?? null;
  }

  /** Everything up to `txid` (null: nothing new), and orders whose ids come before `order`, will not be seen again. */
  async advance(txid: Txid | null, order: string): Promise<void> {
    const { byTxid = [], byOrder = {}, sums = [] } = this.shape;
    const [first] = Object.keys(byOrder);
    if (first !== undefined && !(await this.has(first))) return;
    for (const { ledger, amount } of sums) {
      const { rows: [row] } = await this.pool.query<{ total: string }>(`SELECT coalesce(sum(${amount}), 0)::text AS total FROM ${ledger} WHERE order_id < $1`, [order]);
      this.moved.set(ledger, (this.moved.get(ledger) ?? 0n) + BigInt(row!.total));
    }
    const view = (table: string, where: string): string => `CREATE OR REPLACE VIEW ${SCHEMA}.${table} AS SELECT * FROM public.${table} WHERE ${where};`;
    await this.pool.query([
      `CREATE SCHEMA IF NOT EXISTS ${SCHEMA};`,
      ...(txid === null ? [] : byTxid.map((table) => view(table, `txid > '${txid}'`))),
      ...Object.entries(byOrder).map(([table, column]) => view(table, `${column} >= '${order}'`)),
      ...sums.map(({ table, ledger, row: audited }) => view(table, `true UNION ALL SELECT ${audited(String(this.moved.get(ledger)!))}`)),
    ].join('\n'));
  }

  private async has(table: string): Promise<boolean> {
    const { rows } = await this.pool.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [`public.${table}`]);
    return rows[0]!.there;
  }
}
