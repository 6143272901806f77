import type { Cluster } from '../../test/support/cluster.ts';
import { act } from './operator.ts';
import { becomes, countIn, undecidedAt } from './quiet.ts';
import { PATIENCE_MS, RESOLVED_MS, type Stage } from './stage.ts';
import type { Ask } from './traffic.ts';

const LEADING = `SELECT count(*) AS open FROM tx_progress WHERE kind = 'LEAD'`;
/** Of three-phase commit: the coordinator has followed somebody's attempt to abort. */
const PRE_ABORTED = `SELECT txid FROM tx_progress WHERE kind = 'STATE' AND data #>> '{site,state}' = 'pre-aborted'`;
/** Of three-phase commit: the coordinator (site 3) stands for election. */
const STANDING = `SELECT count(*) AS open FROM tx_progress WHERE kind = 'STATE' AND data #>> '{site,lastElected,site}' = '3' AND (data #>> '{site,lastElected,n}')::int > 1`;

/**
 * Of three acceptors only the one at orders is there while the coordinator, whose time is over, and the leader at orders both begin
 * a ballot: each finds a majority only when the greater one is promised.
 */
export async function rivalLeaders({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  const { payments, orders } = cluster.services;
  const away = [...cluster.acceptors, payments];
  const before = await leadersAt(cluster);
  for (const process of away) process.pause();
  try {
    traffic.ask(asks);
    await becomes(async () => (await count(cluster, LEADING)) >= asks.length && ((await leadersAt(cluster)) >= before + asks.length || !orders.alive), PATIENCE_MS);
  } finally {
    for (const process of away) process.resume();
  }
}

/**
 * The coordinator's database takes its first attempt, to commit, only after orders has found a majority that knew nothing of it, and has
 * attempted to abort. The others follow late, and orders says no more. An operator does not want to wait: the coordinator stands for
 * election, and finds out that it has to abort.
 */
export async function lateAttempt({ cluster, traffic }: Stage, asks: readonly Ask[]): Promise<void> {
  const { orders } = cluster.services;
  const [coordinator] = cluster.coordinators;
  const locker = await cluster.pools.coordinator.connect();
  const holds: Hold[] = [];
  try {
    for (const name of ['payments', 'inventory'] as const) holds.push(await holdPreAborts(cluster, name));
    await locker.query('BEGIN; LOCK TABLE tx_progress IN EXCLUSIVE MODE');
    traffic.ask(asks);
    await becomes(async () => (await countIn(cluster, 'orders', 'pre-aborted')) >= asks.length || !coordinator!.alive, RESOLVED_MS);
    orders.pause();
    await locker.query('COMMIT');
    let followed: readonly string[] = [];
    await becomes(async () => (followed = await preAborted(cluster)).length >= asks.length || !coordinator!.alive, PATIENCE_MS);
    await act(cluster, followed, { action: 'retry-now', comment: 'orders is silent' });
    await becomes(async () => (await count(cluster, STANDING)) >= asks.length || !coordinator!.alive, RESOLVED_MS);
    for (const hold of holds) await hold.letGo();
    await becomes(async () => (await undecidedAt(cluster, 'payments')) + (await undecidedAt(cluster, 'inventory')) === 0, PATIENCE_MS);
  } finally {
    await locker.query('ROLLBACK');
    locker.release();
    for (const hold of holds) await hold.letGo();
    orders.resume();
  }
}

async function preAborted(cluster: Cluster): Promise<readonly string[]> {
  return (await cluster.pools.coordinator.query<{ txid: string }>(PRE_ABORTED)).rows.map(({ txid }) => txid);
}

interface Hold {
  /** May be called more than once. */
  letGo(): Promise<void>;
}

/** Stays in the database: to take it away again would need a moment without traffic. */
const HOLDABLE = `
  CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
  CREATE OR REPLACE TRIGGER hold BEFORE INSERT OR UPDATE ON concordat_branch FOR EACH ROW WHEN (NEW.state = 'pre-aborted') EXECUTE FUNCTION hold()`;

/** From now on a branch of this participant that follows an attempt to abort has to wait. */
async function holdPreAborts(cluster: Cluster, name: 'payments' | 'inventory'): Promise<Hold> {
  const client = await cluster.pools[name].connect();
  let held = true;
  await client.query(HOLDABLE);
  await client.query('SELECT pg_advisory_lock(1)');
  return {
    async letGo() {
      if (!held) return;
      held = false;
      await client.query('SELECT pg_advisory_unlock(1)');
      client.release();
    },
  };
}

async function leadersAt(cluster: Cluster): Promise<number> {
  return Number((await cluster.pools.orders.query<{ open: string }>('SELECT count(*) AS open FROM concordat_leader')).rows[0]!.open);
}

async function count(cluster: Cluster, sql: string): Promise<number> {
  return Number((await cluster.pools.coordinator.query<{ open: string }>(sql)).rows[0]!.open);
}
