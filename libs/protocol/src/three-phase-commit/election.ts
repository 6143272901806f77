/** Sites, their durable counters, and what makes a majority. */
import type { Address, OutcomeStatus, Peers, Reason } from '../messages.js';
import type { Txid } from '../txid.js';

/** Who may attempt something, and when: ordered by `n`, then by site. Two sites never stand under the same election, nor one site twice. */
export interface Election {
  readonly n: number;
  readonly site: number;
}

/**
 * waiting        only the coordinator: votes are outstanding
 * prepared       only participants: voted yes or read-only, nothing attempted since
 * pre-committed  the latest attempt that the site followed was to commit
 * pre-aborted    the latest attempt that the site followed was to abort
 */
export type UndecidedState = 'waiting' | 'prepared' | 'pre-committed' | 'pre-aborted';
export type SiteState = UndecidedState | OutcomeStatus;

/** What every site keeps durably of a transaction. Nothing that depends on it leaves before it is durable. */
export interface SiteRow {
  readonly state: SiteState;
  /** The greatest election that the site follows or has promised to follow. */
  readonly lastElected: Election;
  /** The election whose attempt put it into `state`; NO_ATTEMPT while it is waiting or prepared. */
  readonly lastAttempt: Election;
  /** Of an abort. */
  readonly reason: Reason | null;
}

/** The sites of one transaction, seen from one of them. */
export interface Group {
  readonly txid: Txid;
  readonly peers: Peers;
  readonly self: number;
}

export const NO_ATTEMPT: Election = { n: 0, site: -1 };

/** The coordinator is elected from the start. */
export function firstElection(peers: Peers): Election {
  return { n: 1, site: peers.length };
}

/** Negative, zero or positive, as `one` is smaller than, the same as or greater than `other`. */
export function compareElections(one: Election, other: Election): number {
  return one.n - other.n || one.site - other.site;
}

export function isFinal(state: SiteState): state is OutcomeStatus {
  return state === 'committed' || state === 'aborted';
}

/** How many of the N participants and the coordinator are a quorum: any two quorums share a site. */
export function majorityOf(peers: Peers): number {
  return Math.floor((peers.length + 1) / 2) + 1;
}

/** Every site but this one. */
export function otherSites({ peers, self }: Group): readonly number[] {
  return [...peers.keys(), peers.length].filter((site) => site !== self);
}

export function addressOf({ peers }: Pick<Group, 'peers'>, site: number): Address {
  if (site === peers.length) return { role: 'coordinator' };
  const name = peers[site];
  if (name === undefined) throw new RangeError(`site ${site} is not among ${peers.length} participants and the coordinator`);
  return { role: 'participant', name };
}
