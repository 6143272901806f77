import type { ParticipantConfig, Peers } from '#libs/protocol';

/** What the machines of one site go by. Everything about being in doubt, of all protocols, is here. */
export interface SiteConfig extends ParticipantConfig {
  /** 3pc: an undecided branch stands for election so long after the last sign of life, then with exponential backoff. Longer than voting takes. */
  readonly resolveAfterMs: number;
  readonly maxResolveIntervalMs: number;
  /** paxos-commit: a vote without a decision is repeated to all acceptors after so long, then with exponential backoff. */
  readonly paxosRepeatAfterMs: number;
  readonly maxPaxosRepeatIntervalMs: number;
  /** paxos-commit: after so many repetitions the leader on this site finds the decision out. At least 1. */
  readonly leadAfterRepeats: number;
  /** 3pc, paxos-commit: added once per place of the site in the transaction, so that rivals come one after the other. Longer than two round trips and flushes. */
  readonly staggerMs: number;
  /** paxos-commit: the leader repeats what is unanswered after so long, then with exponential backoff, so many times. */
  readonly leaderResendAfterMs: number;
  readonly maxLeaderResendIntervalMs: number;
  readonly mostLeaderRepeats: number;
}

/**
 * With the coordinator gone for good at the votes, 3pc ends 2 to 3 seconds later, and paxos-commit after 3 to 4: the vote is repeated after
 * one second and two seconds later the first site leads.
 */
export const DEFAULT_SITE_CONFIG: Omit<SiteConfig, 'name' | 'rowsKeptMs'> = {
  inquireAfterMs: 5_000,
  maxInquireIntervalMs: 30_000,
  askPeersAfterInquiries: 3,
  resolveAfterMs: 2_000,
  maxResolveIntervalMs: 30_000,
  paxosRepeatAfterMs: 1_000,
  maxPaxosRepeatIntervalMs: 30_000,
  leadAfterRepeats: 1,
  staggerMs: 250,
  leaderResendAfterMs: 500,
  maxLeaderResendIntervalMs: 5_000,
  mostLeaderRepeats: 6,
};

export type GivenSiteConfig = Pick<SiteConfig, 'name'> & Partial<SiteConfig>;

/** What is not given, or given as undefined, is as in DEFAULT_SITE_CONFIG. */
export function siteConfig(given: GivenSiteConfig): SiteConfig {
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as unknown as GivenSiteConfig;
  return { ...DEFAULT_SITE_CONFIG, ...set };
}

/**
 * The second part of the ballots that a site leads, and its place in the order of rivals: its first branch's number, counted from 1. Only
 * the site itself has it, in a transaction. 0: the site has no branch there.
 */
export function leaderNumber(peers: Peers, name: string): number {
  return peers.indexOf(name) + 1;
}
