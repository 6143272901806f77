import { shardOf, type Txid } from '#libs/protocol';
import type { BranchKey } from '../ports.js';

/** A branch key as a map key. */
export function idOf({ txid, branch }: BranchKey): string {
  return `${txid}/${branch}`;
}

/** The partition of a participant's inbox where everything about the transaction arrives. */
export function partitionOf(txid: Txid, partitions: number): number {
  return shardOf(txid) % partitions;
}
