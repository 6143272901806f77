import { createPool } from '#libs/postgres';
import type { Checkout } from '#libs/shop/checkout';

export type Pool = Pick<ReturnType<typeof createPool>, 'connect' | 'query' | 'end'>;

/** What became of a local transaction; `reason` is null if it committed. */
export interface LocalOutcome {
  readonly committed: boolean;
  readonly reason: string | null;
}

export type CheckoutWriter = (pool: Pool, checkout: Checkout) => Promise<LocalOutcome>;

const COMMITTED: LocalOutcome = { committed: true, reason: null };
const rolledBack = (reason: string): LocalOutcome => ({ committed: false, reason });
/** An unknown customer has none, either; an unknown SKU has no stock. */
const INSUFFICIENT_FUNDS = 'INSUFFICIENT_FUNDS';
const OUT_OF_STOCK = 'OUT_OF_STOCK';

/** Any number that nobody else uses as an advisory lock. */
const SCHEMA_LOCK = 7_205_003;

/** The shop's tables in one database, with the room in their pages that the services give them. Several workers may come at once. */
const SCHEMA = `
  BEGIN;
  SELECT pg_advisory_xact_lock(${SCHEMA_LOCK});
  CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer_id text NOT NULL, sku text NOT NULL, quantity int NOT NULL, amount_cents bigint NOT NULL, status text NOT NULL);
  CREATE TABLE IF NOT EXISTS account (customer_id text PRIMARY KEY, balance_cents bigint NOT NULL CHECK (balance_cents >= 0)) WITH (fillfactor = 50);
  CREATE TABLE IF NOT EXISTS ledger_entry (order_id text PRIMARY KEY, customer_id text NOT NULL, amount_cents bigint NOT NULL);
  CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0)) WITH (fillfactor = 50);
  CREATE TABLE IF NOT EXISTS stock_movement (order_id text PRIMARY KEY, sku text NOT NULL, quantity int NOT NULL);
  INSERT INTO account SELECT 'c-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING;
  INSERT INTO stock SELECT 's-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING;
  COMMIT`;

const PLACE = "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, 'confirmed')";
const PAY = 'UPDATE account SET balance_cents = balance_cents - $2 WHERE customer_id = $1 AND balance_cents >= $2';
const ENTER = 'INSERT INTO ledger_entry VALUES ($1, $2, $3)';
const TAKE = 'UPDATE stock SET available = available - $2 WHERE sku = $1 AND available >= $2';
const MOVE = 'INSERT INTO stock_movement VALUES ($1, $2, $3)';

/**
 * The checkout as one statement, which is a transaction of its own. Why it has its whole effect or none:
 * 1. Every write but the debit reads, directly or not, from the debit's RETURNING, and the three inserts from the one of the stock. A row
 *    comes out of RETURNING only if the row was written. So without funds nothing is written at all, and the answer is 0.
 * 2. What remains is the debit without the stock. The answer then divides 1 by the 0 rows that were taken: the error ends the statement, and
 *    with it the debit. CASE keeps that division from being made where there was no debit; it cannot be folded before, being no constant.
 * 3. All parts run to their end whether or not the answer reads them (PostgreSQL documentation, 7.8.4), and none sees the others' rows but
 *    through RETURNING, so their order does not matter to 1 and 2. The stock is locked after the account, as in the statements one by one:
 *    mixed with those it cannot deadlock.
 * 4. A row that somebody else has just changed is looked at again before it is written (READ COMMITTED): `>=` holds for what is there then.
 */
const CHECKOUT = `
  WITH paid AS (
    UPDATE account SET balance_cents = balance_cents - $5::bigint WHERE customer_id = $2::text AND balance_cents >= $5::bigint RETURNING customer_id),
  taken AS (
    UPDATE stock SET available = available - $4::int FROM paid WHERE stock.sku = $3::text AND stock.available >= $4::int RETURNING stock.sku),
  placed AS (
    INSERT INTO orders SELECT $1::text, $2::text, $3::text, $4::int, $5::bigint, 'confirmed' FROM taken),
  entered AS (
    INSERT INTO ledger_entry SELECT $1::text, $2::text, $5::bigint FROM taken),
  moved AS (
    INSERT INTO stock_movement SELECT $1::text, $3::text, $4::int FROM taken)
  SELECT CASE WHEN EXISTS (SELECT FROM paid) THEN 1 / (SELECT count(*) FROM taken)::int ELSE 0 END AS done`;
const DIVISION_BY_ZERO = '22012';

/** Opens the monolith's database, with its tables and seed data. */
export async function openMonolith(databaseUrl: string, connections: number): Promise<Pool> {
  const pool = createPool(databaseUrl, { max: connections, applicationName: 'load-local' });
  try {
    await pool.query(SCHEMA);
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/**
 * The checkout as an ordinary service writes it: BEGIN, five named statements, COMMIT, a round trip each; a refusal rolls back at once.
 * @throws the error of the connection: whether it committed is not known
 */
export const inStatements: CheckoutWriter = async (pool, c) => {
  const client = await pool.connect();
  let broken: Error | undefined;
  const ask = async (query: string | { name: string; text: string; values: unknown[] }): Promise<boolean> => {
    try {
      return (await client.query(query)).rowCount === 1;
    } catch (error) {
      if (refusalOf(error) === null) broken = error as Error;
      throw error;
    }
  };
  const run = (name: string, text: string, values: unknown[]): Promise<boolean> => ask({ name, text, values });
  const refuse = async (reason: string): Promise<LocalOutcome> => {
    await ask('ROLLBACK');
    return rolledBack(reason);
  };
  try {
    await ask('BEGIN');
    await run('place', PLACE, [c.orderId, c.customerId, c.sku, c.quantity, c.amountCents]);
    if (!await run('pay', PAY, [c.customerId, c.amountCents])) return await refuse(INSUFFICIENT_FUNDS);
    await run('enter', ENTER, [c.orderId, c.customerId, c.amountCents]);
    if (!await run('take', TAKE, [c.sku, c.quantity])) return await refuse(OUT_OF_STOCK);
    await run('move', MOVE, [c.orderId, c.sku, c.quantity]);
    await ask('COMMIT');
    return COMMITTED;
  } catch (error) {
    const code = refusalOf(error);
    if (code === null) throw error;
    return await refuse(code);
  } finally {
    client.release(broken);
  }
};

/** The checkout as one statement and one round trip. @throws as inStatements does */
export const inOneStatement: CheckoutWriter = async (pool, c) => {
  try {
    const { rows } = await pool.query<{ done: number }>({ name: 'checkout', text: CHECKOUT, values: [c.orderId, c.customerId, c.sku, c.quantity, c.amountCents] });
    return rows[0]!.done === 1 ? COMMITTED : rolledBack(INSUFFICIENT_FUNDS);
  } catch (error) {
    const code = refusalOf(error);
    if (code === null) throw error;
    return rolledBack(code === `SQLSTATE_${DIVISION_BY_ZERO}` ? OUT_OF_STOCK : code);
  }
};

/** Of a statement that Postgres refused, and with it the transaction. Null: the connection or the server failed, and nothing is known. */
function refusalOf(error: unknown): string | null {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P|58|XX)/.test(code) ? `SQLSTATE_${code}` : null;
}
