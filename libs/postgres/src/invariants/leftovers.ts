import type { Txid } from '#libs/protocol';
import { UNDECIDED } from '../sql/branches.js';
import { hasTable } from './load.js';
import { check, type InvariantCheck, type Offender, type Queryable, type ShopDatabases } from './types.js';

/** AC5 for the coordinator: nothing is unfinished, and what only the unfinished need is gone. */
export async function everyTransactionEnded(coordinator: Queryable): Promise<InvariantCheck[]> {
  const { rows: open } = await coordinator.query<{ txid: Txid; what: string }>(`
    SELECT b.txid, 'has not ended' AS what FROM tx_begin b WHERE NOT EXISTS (SELECT FROM tx_end e WHERE e.txid = b.txid)
    UNION SELECT txid, 'is listed as open' FROM tx_open`);
  const progress = (await hasTable(coordinator, 'tx_progress')) ? (await coordinator.query<{ txid: Txid; kind: string }>('SELECT txid, kind FROM tx_progress')).rows : [];
  return [check('every transaction ended', open), check('no progress note is left', progress.map(({ txid, kind }) => ({ txid, what: kind })))];
}

/** Nothing is prepared, no order pends, no lock is held. */
export async function nothingIsLeft(databases: ShopDatabases): Promise<InvariantCheck[]> {
  const prepared: Offender[] = [];
  const locks: Offender[] = [];
  for (const [name, database] of Object.entries(databases) as [keyof ShopDatabases, Queryable][]) {
    if (name !== 'coordinator') {
      const { rows } = await database.query<{ txid: Txid; state: string }>(`SELECT txid, state FROM concordat_branch WHERE ${UNDECIDED}`);
      prepared.push(...rows.map(({ txid, state }) => ({ txid, what: `${state} at ${name}` })));
    }
    const { rows: xacts } = await database.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
    prepared.push(...xacts.map((r) => ({ txid: null, what: `${name}: prepared transaction ${r.gid}` })));
    const { rows: held } = await database.query<{ pid: number; what: string }>(`
      SELECT l.pid, l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype) AS what FROM pg_locks l
       WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
         AND l.locktype <> 'virtualxid' AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.backend_type = 'client backend')`);
    locks.push(...held.map((r) => ({ txid: null, what: `${name} pid ${r.pid} ${r.what}` })));
  }
  const { rows: pending } = await databases.orders.query<{ id: string }>("SELECT id FROM orders WHERE status = 'pending'");
  prepared.push(...pending.map((r) => ({ txid: null, what: `pending order ${r.id}` })));
  return [check('nothing prepared is left', prepared), check('no lock is held', locks)];
}
