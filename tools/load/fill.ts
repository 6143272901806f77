// A store as it is after a long life: transactions that have ended, and some that a crash has left in the middle.
import { randomBytes } from 'node:crypto';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import type { Database } from '../start/settings.ts';
import { type Column, copySql, openSql, orderIdOf, type Pattern, type Population, takeSql } from './fill-sql.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;
type Databases = Readonly<Record<Database, Pool>>;

export interface Filled {
  readonly pattern: Pattern;
  readonly finished: Population;
  /** Decided to commit, and no participant knows yet. */
  readonly decided: Population;
  /** Every participant is prepared, nothing is decided. */
  readonly undecided: Population;
  readonly seconds: number;
}

/** Rows of one statement: so that something is seen of it, and none runs into its time limit. */
const AT_ONCE = 100_000;
/** As far back as the oldest lies. */
const SPAN_MS = 20 * 60_000;
/** Each population has room of its own in time, before everything that really happens. */
const MARGIN_MS = 5_000;
const TELL_MS = 5_000;
const ENDED_LIMIT_MS = 30_000;
const [PRICE, PIECES] = [1, 1];

/** Runs the one transaction that all others are copies of. @throws Error when it does not commit */
export async function runPattern(url: string, token: string, coordinator: Pool): Promise<Pattern> {
  const key = randomBytes(6).toString('hex');
  const [customerId, sku] = ['c-1', 's-1'];
  const orderId = orderIdOf(`pattern${key}`, 0);
  const response = await fetch(`${url}/v1/transactions`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': orderId, prefer: 'wait=10' },
    body: JSON.stringify(checkoutRequest('2pc', { orderId, customerId, sku, quantity: PIECES, amountCents: PRICE })), signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  const { id, status } = (response.ok ? JSON.parse(text) : {}) as { readonly id?: string; readonly status?: string };
  if (id === undefined || status !== 'committed') throw new Error(`the pattern of what is filled in did not commit: ${response.status} ${text.slice(0, 300)}`);
  for (const deadline = Date.now() + ENDED_LIMIT_MS; ;) {
    const { rows } = await coordinator.query('SELECT FROM tx_end WHERE txid = $1', [id]);
    if (rows.length > 0) return { txid: id, orderId, customerId, sku };
    if (Date.now() > deadline) throw new Error(`the pattern of what is filled in (${id}) did not end`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** The services must not run: they would find accounts changed that they believe to know. */
export async function fill(databases: Databases, pattern: Pattern, { finished, unfinished }: { readonly finished: number; readonly unfinished: number }, say: (line: string) => void): Promise<Filled> {
  const began = Date.now();
  const { rows } = await databases.coordinator.query<{ shard: number }>('SELECT shard FROM shard ORDER BY shard');
  const shards = rows.map(({ shard }) => shard);
  // All of it lies before the pattern, and what has ended before what has not.
  const patternMs = Number.parseInt(pattern.txid.slice(0, 8) + pattern.txid.slice(9, 13), 16);
  const half = Math.floor(unfinished / 2);
  const population = (prefix: string, count: number, fromMs: number, spanMs: number): Population => ({ prefix, from: 0, to: count, fromMs, stepMs: spanMs / Math.max(1, count), shards });
  const populations = {
    finished: population('filled', finished, patternMs - SPAN_MS - 4 * MARGIN_MS, SPAN_MS),
    decided: population('decided', half, patternMs - 3 * MARGIN_MS, MARGIN_MS),
    undecided: population('undecided', unfinished - half, patternMs - 2 * MARGIN_MS, MARGIN_MS),
  };
  let [rowsDone, toldMs] = [0, began];
  const filling = new Filling(databases, pattern, (count) => {
    rowsDone += count;
    if (Date.now() - toldMs < TELL_MS) return;
    toldMs = Date.now();
    say(`filling: ${rowsDone.toLocaleString('en-US')} rows after ${Math.round((Date.now() - began) / 1000)} s`);
  });
  await Promise.all([filling.coordinator(populations), filling.orders(populations), filling.payments(populations), filling.inventory(populations)]);
  say('filling: vacuum and analyze');
  await Promise.all(Object.values(databases).map((pool) => pool.query('VACUUM (ANALYZE)')));
  return { pattern, ...populations, seconds: (Date.now() - began) / 1000 };
}

type Populations = Pick<Filled, 'finished' | 'decided' | 'undecided'>;

/** What each database has of the three populations. */
class Filling {
  constructor(databases: Databases, pattern: Pattern, onRows: (count: number) => void) {
    this.databases = databases;
    this.pattern = pattern;
    this.onRows = onRows;
  }

  private readonly databases: Databases;
  private readonly pattern: Pattern;
  private readonly onRows: (count: number) => void;

  async coordinator({ finished, decided, undecided }: Populations): Promise<void> {
    const copies = async (table: string, populations: readonly Population[]): Promise<void> => {
      for (const population of populations) await this.copy('coordinator', table, 'txid', population);
    };
    await Promise.all([
      copies('idempotency_key', [finished, decided, undecided]), copies('tx_begin', [finished, decided, undecided]),
      copies('tx_decision', [finished, decided]), copies('tx_end', [finished]),
    ]);
    for (const population of [decided, undecided]) await this.run('coordinator', openSql(population), population);
  }

  async orders({ finished, decided, undecided }: Populations): Promise<void> {
    for (const population of [finished, decided, undecided]) {
      const isFinished = population === finished;
      await this.copy('orders', 'orders', 'orderId', population, isFinished ? {} : { status: "'pending'" });
      await this.branches('orders', population, isFinished);
    }
  }

  payments(populations: Populations): Promise<void> {
    return this.moved('payments', 'account', 'ledger_entry', populations);
  }

  inventory(populations: Populations): Promise<void> {
    return this.moved('inventory', 'stock', 'stock_movement', populations);
  }

  /** What has been committed is in the ledger; what is prepared is held. */
  private async moved(database: 'payments' | 'inventory', table: 'account' | 'stock', ledger: string, { finished, decided, undecided }: Populations): Promise<void> {
    for (const population of [finished, decided, undecided]) {
      const isFinished = population === finished;
      if (isFinished) await this.copy(database, ledger, 'orderId', population);
      await this.branches(database, population, isFinished);
      await this.run(database, takeSql(table, population, !isFinished), population);
    }
  }

  private branches(database: Database, population: Population, isFinished: boolean): Promise<void> {
    return this.copy(database, 'concordat_branch', 'txid', population, isFinished ? {} : { state: "'prepared'" });
  }

  private async copy(database: Database, table: string, by: 'txid' | 'orderId', population: Population, overrides: Readonly<Record<string, string>> = {}): Promise<void> {
    const pool = this.databases[database];
    const key = by === 'txid' ? 'txid' : table === 'orders' ? 'id' : 'order_id';
    const columns = await this.columnsOf(pool, table, `${key} = '${this.pattern[by]}'`);
    for (let from = population.from; from < population.to; from += AT_ONCE) {
      const part = { ...population, from, to: Math.min(population.to, from + AT_ONCE) };
      const { rowCount } = await pool.query(copySql(table, columns, `${key} = '${this.pattern[by]}'`, this.pattern, part, overrides));
      if (rowCount !== part.to - part.from) throw new Error(`filling ${database}.${table}: ${rowCount} rows for ${part.to - part.from} transactions; the pattern ${this.pattern.txid} is not as it was expected`);
      this.onRows(rowCount);
    }
  }

  /** To make JSON out of text is most of the work, and of the long columns unnecessary. */
  private async columnsOf(pool: Pool, table: string, of: string): Promise<readonly Column[]> {
    const { rows: columns } = await pool.query<Column>(`
      SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, [table]);
    const { rows } = await pool.query<Readonly<Record<string, string | null>>>(`SELECT ${columns.map(({ name }) => `"${name}"::text`).join(', ')} FROM ${table} WHERE ${of}`);
    const told = [this.pattern.orderId, this.pattern.customerId, this.pattern.sku].map((text) => `"${text}"`);
    return columns.map((column) => ({ ...column, isPlain: rows.every((row) => told.every((text) => row[column.name]?.includes(text) !== true)) }));
  }

  private async run(database: Database, sql: string, { from, to }: Population): Promise<void> {
    if (to > from) await this.databases[database].query(sql);
  }
}
