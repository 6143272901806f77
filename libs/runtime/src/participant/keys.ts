import { shardOf, type Txid } from '#libs/protocol';
import type { BranchKey } from '../ports.js';

/** One row of this site, and the one machine that is in charge of it. Everything about one transaction is in one partition, and so in one lane. */
export type SiteKey =
  | { readonly role: 'branch'; readonly txid: Txid; readonly branch: number }
  | { readonly role: 'acceptor' | 'leader'; readonly txid: Txid };

/** A key as a map key. */
export function idOf(key: SiteKey): string {
  return key.role === 'branch' ? branchId(key) : `${key.txid}/${key.role}`;
}

export function branchId({ txid, branch }: BranchKey): string {
  return `${txid}/${branch}`;
}

/** The key that `idOf` was given. */
export function keyOf(id: string): SiteKey {
  const [txid, rest] = id.split('/') as [Txid, string];
  return rest === 'acceptor' || rest === 'leader' ? { role: rest, txid } : { role: 'branch', txid, branch: Number(rest) };
}

/** The partition of a site's inbox where everything about the transaction arrives. */
export function partitionOf(txid: Txid, partitions: number): number {
  return shardOf(txid) % partitions;
}
