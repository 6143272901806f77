import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

type Inbox = import('#libs/runtime').Inbox;
type GroupState = import('#libs/kafka').GroupState;

/** Often enough for what takes seconds; every look costs what is looked at. */
const POLL_MS = 25;
const BALANCE_LIMIT_MS = 60_000;

/** Calls `look` until it answers something other than null. @throws Error after the limit */
export async function eventually<T>(what: string, limitMs: number, look: () => Promise<T | null>): Promise<T> {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const found = await look();
    if (found !== null) return found;
  }
  throw new Error(`${what}: not within ${limitMs} ms`);
}

/** Resolves when both instances have their even part of the inbox, and, of the coordinator's, the shards too. */
export async function balanced(cluster: Cluster, inbox: Inbox): Promise<GroupState> {
  const group = await eventually(`${nameOf(inbox)} balanced`, BALANCE_LIMIT_MS, async () => {
    const seen = await cluster.groups.look(inbox);
    return isEven(seen) ? seen : null;
  });
  if (inbox.role === 'coordinator') {
    await eventually('shards with their owners', BALANCE_LIMIT_MS, async () => {
      const owners = await ownersOf(cluster);
      return group.members.every(({ client, partitions }) => partitions.every((shard) => client === `coordinator-${owners.get(shard)?.owner}`)) ? true : null;
    });
  }
  return group;
}

export function isEven({ state, members }: GroupState): boolean {
  const shares = members.map(({ partitions }) => partitions.length);
  return state === 'Stable' && members.length === 2 && Math.max(...shares) - Math.min(...shares) <= 1;
}

/** Moments, in milliseconds since the epoch, at which the group was seen to move after `member` had gone. */
export async function regrouped(cluster: Cluster, inbox: Inbox, client: string): Promise<{ readonly noticed: number; readonly settled: number }> {
  const noticed = await eventually(`${client} missed by its group`, 60_000, async () => {
    const { state, members } = await cluster.groups.look(inbox);
    return state !== 'Stable' || !members.some((member) => member.client === client) ? Date.now() : null;
  });
  const settled = await eventually(`the group of ${client} settled`, 60_000, async () => {
    const { state, members } = await cluster.groups.look(inbox);
    return state === 'Stable' && !members.some((member) => member.client === client) ? Date.now() : null;
  });
  return { noticed, settled };
}

export interface Owner {
  readonly owner: string;
  readonly epoch: number;
}

export async function ownersOf({ pools }: Cluster): Promise<ReadonlyMap<number, Owner>> {
  const { rows } = await pools.coordinator.query<Owner & { shard: number }>('SELECT shard, owner, epoch FROM shard');
  return new Map(rows.map(({ shard, owner, epoch }) => [shard, { owner, epoch }]));
}

/** When every one of the shards was seen with a greater epoch. */
export async function acquired(cluster: Cluster, before: ReadonlyMap<number, Owner>, shards: readonly number[]): Promise<number> {
  return await eventually('shards acquired', 60_000, async () => {
    const now = await ownersOf(cluster);
    return shards.every((shard) => now.get(shard)!.epoch > before.get(shard)!.epoch) ? Date.now() : null;
  });
}

/** When a decision on one of the shards was first seen: one that fell after `sinceMs`, of a transaction begun after `begunSinceMs`, under one of the epochs. */
export async function decided({ pools }: Cluster, shards: readonly number[], which: { readonly sinceMs: number; readonly begunSinceMs?: number; readonly minEpochs?: readonly number[] }): Promise<number> {
  const minEpochs = which.minEpochs ?? shards.map(() => 0);
  return await eventually('a decision', 60_000, async () => {
    const { rows } = await pools.coordinator.query(
      `SELECT FROM tx_decision d JOIN tx_begin b USING (txid) JOIN unnest($1::int[], $4::int[]) AS wanted (shard, epoch) ON wanted.shard = b.shard
        WHERE d.decided_at > to_timestamp($2 / 1000.0) AND b.created_at > to_timestamp($3 / 1000.0) AND d.epoch >= wanted.epoch LIMIT 1`,
      [shards, which.sinceMs, which.begunSinceMs ?? 0, minEpochs],
    );
    return rows.length > 0 ? Date.now() : null;
  });
}

/** Transactions on the shards that have begun and are not decided. */
export async function undecidedOn({ pools }: Cluster, shards: readonly number[]): Promise<readonly string[]> {
  const { rows } = await pools.coordinator.query<{ txid: string }>('SELECT txid FROM tx_open o WHERE shard = ANY ($1) AND NOT EXISTS (SELECT FROM tx_decision d WHERE d.txid = o.txid)', [shards]);
  return rows.map(({ txid }) => txid);
}

export async function allDecided({ pools }: Cluster, txids: readonly string[]): Promise<number> {
  return await eventually('everything unfinished decided', 60_000, async () => {
    const { rows } = await pools.coordinator.query(
      `SELECT FROM unnest($1::uuid[]) AS asked (txid) WHERE NOT EXISTS (SELECT FROM tx_decision d WHERE d.txid = asked.txid) AND NOT EXISTS (SELECT FROM tx_end e WHERE e.txid = asked.txid) LIMIT 1`,
      [txids],
    );
    return rows.length === 0 ? Date.now() : null;
  });
}

/** The longest time without any decision on the shards (null: on all of them together). */
export async function longestPause({ pools }: Cluster, shards: readonly number[] | null, fromMs: number, toMs: number): Promise<number> {
  const { rows } = await pools.coordinator.query<{ pause: number | null }>(
    `SELECT max(extract(epoch FROM next - decided_at) * 1000)::float AS pause FROM (
       SELECT d.decided_at, lead(d.decided_at) OVER (ORDER BY d.decided_at) AS next FROM tx_decision d JOIN tx_begin b USING (txid)
        WHERE d.decided_at BETWEEN to_timestamp($2 / 1000.0) AND to_timestamp($3 / 1000.0) AND ($1::int[] IS NULL OR b.shard = ANY ($1))) AS gaps`,
    [shards, fromMs, toMs],
  );
  return Math.round(rows[0]?.pause ?? toMs - fromMs);
}

export function nameOf(inbox: Inbox): string {
  return inbox.role === 'coordinator' ? 'coordinator' : inbox.name;
}
