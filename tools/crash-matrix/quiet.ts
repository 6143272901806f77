import type { Cluster } from '../../test/support/cluster.ts';

const OPEN = `SELECT (SELECT count(*) FROM tx_begin b WHERE NOT EXISTS (SELECT FROM tx_end e WHERE e.txid = b.txid)) + (SELECT count(*) FROM tx_open) AS open`;
/** Of branches that have voted and do not know the decision. */
const UNDECIDED = `SELECT count(*) AS open FROM concordat_branch WHERE state IN ('prepared', 'pre-committed', 'pre-aborted')`;
const EVERY_MS = 40;

/** Branches in doubt at this participant. */
export async function undecidedAt(cluster: Cluster, name: 'orders' | 'payments' | 'inventory'): Promise<number> {
  return Number((await cluster.pools[name].query<{ open: string }>(UNDECIDED)).rows[0]!.open);
}

/** Branches in this state at this participant. */
export async function countIn(cluster: Cluster, name: 'orders' | 'payments' | 'inventory', state: string): Promise<number> {
  return Number((await cluster.pools[name].query<{ open: string }>('SELECT count(*) AS open FROM concordat_branch WHERE state = $1', [state])).rows[0]!.open);
}

export async function undecided(cluster: Cluster): Promise<number> {
  const counts = await Promise.all((['orders', 'payments', 'inventory'] as const).map((name) => undecidedAt(cluster, name)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Transactions without END. */
export async function unended(cluster: Cluster): Promise<number> {
  return Number((await cluster.pools.coordinator.query<{ open: string }>(OPEN)).rows[0]!.open);
}

/** Of the shards, in their order: greater each time that somebody takes one over. */
export async function epochs(cluster: Cluster): Promise<readonly number[]> {
  const { rows } = await cluster.pools.coordinator.query<{ epoch: number }>('SELECT epoch FROM shard ORDER BY shard');
  return rows.map(({ epoch }) => Number(epoch));
}

/** Every transaction has its END and no branch is in doubt. */
export function quiet(cluster: Cluster, timeoutMs: number): Promise<boolean> {
  return becomes(async () => (await unended(cluster)) + (await undecided(cluster)) === 0, timeoutMs);
}

/** Whether the condition comes true in time. */
export async function becomes(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (const deadlineMs = Date.now() + timeoutMs; ;) {
    if (await condition()) return true;
    if (Date.now() > deadlineMs) return false;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
