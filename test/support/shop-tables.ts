import type { Txid } from '#libs/protocol';
import type { CheckoutOptions } from './checkout.js';
import type { Cluster, ParticipantName } from './cluster.js';

const PARTICIPANTS: readonly ParticipantName[] = ['orders', 'payments', 'inventory'];

export interface BranchTrace {
  readonly participant: ParticipantName;
  readonly branch: number;
  readonly state: string;
  readonly atMs: number;
}

/** The branches of a transaction as the services' own tables have them, in their order. */
export async function branchesOf(cluster: Cluster, txid: string): Promise<readonly BranchTrace[]> {
  const lists = await Promise.all(PARTICIPANTS.map(async (participant) => {
    const { rows } = await cluster.pools[participant].query<{ branch: number; state: string; at: Date }>('SELECT branch, state, updated_at AS at FROM concordat_branch WHERE txid = $1', [txid]);
    return rows.map(({ branch, state, at }) => ({ participant, branch, state, atMs: at.getTime() }));
  }));
  return lists.flat().sort((a, b) => a.branch - b.branch);
}

export const statesOf = async (cluster: Cluster, txid: string): Promise<readonly string[]> => (await branchesOf(cluster, txid)).map(({ state }) => state);

/** The transaction that asked for this order, by what it left at `orders`; null while there is nothing. */
export async function txidOf(cluster: Cluster, orderId: string): Promise<Txid | null> {
  const { rows } = await cluster.pools.orders.query<{ txid: Txid }>("SELECT txid FROM concordat_branch WHERE payload ->> 'orderId' = $1", [orderId]);
  return rows[0]?.txid ?? null;
}

export interface Effects {
  readonly order: string | null;
  readonly held: number;
  readonly paid: number;
  readonly reserved: number;
  readonly moved: number;
}

/** What a checkout has done so far; its customer and its SKU must be its own. */
export async function effectsOf(cluster: Cluster, { orderId, customerId, sku }: CheckoutOptions): Promise<Effects> {
  const one = async (name: ParticipantName, sql: string, value: string | undefined): Promise<string | null> => (await cluster.pools[name].query<{ value: string }>(sql, [value])).rows[0]?.value ?? null;
  return {
    order: await one('orders', 'SELECT status AS value FROM orders WHERE id = $1', orderId),
    held: Number(await one('payments', 'SELECT held_cents AS value FROM account WHERE customer_id = $1', customerId)),
    paid: Number(await one('payments', 'SELECT coalesce(sum(amount_cents), 0) AS value FROM ledger_entry WHERE order_id = $1', orderId)),
    reserved: Number(await one('inventory', 'SELECT reserved AS value FROM stock WHERE sku = $1', sku)),
    moved: Number(await one('inventory', 'SELECT coalesce(sum(quantity), 0) AS value FROM stock_movement WHERE order_id = $1', orderId)),
  };
}

/** Locks that client connections hold in the services' databases, and transactions that Postgres itself has prepared. */
export async function locksIn(cluster: Cluster): Promise<readonly string[]> {
  const lists = await Promise.all(PARTICIPANTS.map(async (participant) => {
    const { rows } = await cluster.pools[participant].query<{ what: string }>(`
      SELECT l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype) AS what FROM pg_locks l JOIN pg_stat_activity a USING (pid)
       WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid() AND l.locktype <> 'virtualxid' AND a.backend_type = 'client backend'
      UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()`);
    return rows.map(({ what }) => `${participant}: ${what}`);
  }));
  return lists.flat();
}

/** Somebody who knows nothing of Concordat changes the very rows that a checkout has touched; throws when one of them is locked. */
export async function touchRows(cluster: Cluster, { orderId, customerId, sku }: CheckoutOptions): Promise<void> {
  const touch = async (name: ParticipantName, sql: string, value: string | undefined): Promise<void> => {
    const connection = await cluster.pools[name].connect();
    try {
      await connection.query("BEGIN; SET LOCAL lock_timeout = '1s'");
      await connection.query(sql, [value]);
      await connection.query('COMMIT');
    } catch (error) {
      await connection.query('ROLLBACK');
      throw error;
    } finally {
      connection.release();
    }
  };
  await touch('orders', 'UPDATE orders SET status = status WHERE id = $1', orderId);
  await touch('payments', 'UPDATE account SET balance_cents = balance_cents WHERE customer_id = $1', customerId);
  await touch('inventory', 'UPDATE stock SET available = available WHERE sku = $1', sku);
}
