/**
 * Ballots are ordered by `n`, then by `leader`. `leader` belongs to one owner of the leading role alone (for the coordinator: one per
 * ownership of its shard), and each leader raises its durable `n` before it uses a ballot, so no ballot is ever led twice.
 */
export interface Ballot {
  readonly n: number;
  readonly leader: number;
}

/** The participants' own ballot: each proposes in its own instance without a phase 1 (section 4.2). Leaders' ballots start at n = 1. */
export const BALLOT_ZERO: Ballot = { n: 0, leader: 0 };

/** Negative when `one` is smaller than `other`, 0 when they are the same ballot. */
export function compareBallots(one: Ballot, other: Ballot): number {
  return one.n - other.n || one.leader - other.leader;
}

export function sameBallot(one: Ballot, other: Ballot): boolean {
  return one.n === other.n && one.leader === other.leader;
}

/** How many of 2F+1 acceptors are a majority: F+1. */
export function majorityOf(acceptors: number): number {
  return Math.floor(acceptors / 2) + 1;
}
