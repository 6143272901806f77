import { createPool } from '#libs/postgres';
import type { Checkout } from '#libs/shop/checkout';
import type { Ending } from './closed-loop.js';

type Pool = ReturnType<typeof createPool>;

/** The shop's tables in one database: what a monolith would have. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer_id text NOT NULL, sku text NOT NULL, quantity int NOT NULL, amount_cents bigint NOT NULL, status text NOT NULL);
  CREATE TABLE IF NOT EXISTS account (customer_id text PRIMARY KEY, balance_cents bigint NOT NULL CHECK (balance_cents >= 0));
  CREATE TABLE IF NOT EXISTS ledger_entry (order_id text PRIMARY KEY, customer_id text NOT NULL, amount_cents bigint NOT NULL);
  CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0));
  CREATE TABLE IF NOT EXISTS stock_movement (order_id text PRIMARY KEY, sku text NOT NULL, quantity int NOT NULL);
  INSERT INTO account SELECT 'c-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING;
  INSERT INTO stock SELECT 's-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING;`;

/**
 * The yardstick: the same checkout as one local BEGIN..COMMIT in one database, without HTTP, broker or coordinator. Named statements,
 * one round trip each, as an ordinary service would do it.
 */
export async function localCheckouts(databaseUrl: string, poolSize: number): Promise<{ attempt(checkout: Checkout): Promise<Ending>; close(): Promise<void> }> {
  const pool: Pool = createPool(databaseUrl, { max: poolSize, applicationName: 'load-local' });
  await pool.query(SCHEMA);
  return { attempt: (checkout) => localCheckout(pool, checkout), close: () => pool.end() };
}

async function localCheckout(pool: Pool, c: Checkout): Promise<Ending> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query({ name: 'order', text: "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, 'confirmed')", values: [c.orderId, c.customerId, c.sku, c.quantity, c.amountCents] });
    const paid = await client.query({ name: 'pay', text: 'UPDATE account SET balance_cents = balance_cents - $2 WHERE customer_id = $1 AND balance_cents >= $2', values: [c.customerId, c.amountCents] });
    await client.query({ name: 'ledger', text: 'INSERT INTO ledger_entry VALUES ($1, $2, $3)', values: [c.orderId, c.customerId, c.amountCents] });
    const taken = await client.query({ name: 'take', text: 'UPDATE stock SET available = available - $2 WHERE sku = $1 AND available >= $2', values: [c.sku, c.quantity] });
    await client.query({ name: 'movement', text: 'INSERT INTO stock_movement VALUES ($1, $2, $3)', values: [c.orderId, c.sku, c.quantity] });
    const ok = paid.rowCount === 1 && taken.rowCount === 1;
    await client.query(ok ? 'COMMIT' : 'ROLLBACK');
    return ok ? 'committed' : 'aborted';
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
