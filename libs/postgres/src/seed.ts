import type { DatabaseRole } from './migrate.ts';

const SEEDS: { readonly [R in DatabaseRole]?: string } = {
  payments: "INSERT INTO account (customer_id, balance_cents) SELECT 'c-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING",
  inventory: "INSERT INTO stock (sku, available) SELECT 's-' || n, 1000000 FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING",
};

/**
 * The shop's seed data: customers c-1..c-10000 with 1,000,000 cents each, SKUs s-1..s-10000 with 1,000,000 pieces each. What is there
 * already stays as it is, so any number of processes may seed at any time. The other roles have no seed.
 */
export async function seedShop(role: DatabaseRole, query: (sql: string) => Promise<unknown>): Promise<void> {
  const seed = SEEDS[role];
  if (seed !== undefined) await query(seed);
}
