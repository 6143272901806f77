/**
 * The resolver of quorum-based three-phase commit (E3PC): how any site ends a transaction whose coordinator does not.
 *
 * Commit condition. A transaction is committed iff a majority of its N+1 sites (N participants and the coordinator) has followed one
 * attempt to commit (PRE_COMMIT under one election). It is aborted iff a majority has followed one attempt to abort, or one site has
 * aborted alone: a participant before its yes, the coordinator before its first attempt.
 *
 * The rule. A resolver takes an election greater than any it knows of, records it, and asks all sites (STATE_REQUEST).
 *   1. A reply `committed` or `aborted` is the decision.
 *   2. With the replies of a majority (its own included): if those that carry the greatest lastAttempt are pre-committed it attempts to
 *      commit (PRE_COMMIT), otherwise to abort (PRE_ABORT), under its election.
 *   3. Acknowledgements of a majority (its own included) are the decision.
 * The first coordinator does 3 only, under the first election (1, N), for it has asked all sites by collecting their votes.
 *
 * Why both cannot happen. Under one election there is one attempt, because no election is used twice: it is durable before it is told,
 * and a restarted site takes a greater one. Say a majority has followed attempt a under election e, and e' is the smallest greater
 * election that attempts something. The majority that replied to e' shares a site with the one that followed e. That site followed e
 * before it promised e' (afterwards it refuses), so a reply to e' carries lastAttempt e, and none carries more, as no election between
 * attempted anything. So e' attempts a too, and so on: after a majority, no attempt differs. An abort alone excludes every attempt to
 * commit: the first one needs all votes and a coordinator that has not aborted, and rule 2 makes one only from an earlier one.
 *
 * Failures, one by one:
 *   - replies or acknowledgements are lost, or there is no majority: the round is given up when the `resolve` timer fires, and a greater
 *     election begins. It goes on like that, with exponential backoff, until a majority answers: visibly, as lastElected grows.
 *   - the resolver crashes: what it recorded is its promise, and what others recorded is theirs; any site goes on with a greater election.
 *   - rivals: a site that promises a greater election drops its own round, and its old attempt is REFUSED where the rival came first. The
 *     timers are staggered by site number and back off, so that the rounds of rivals drift apart; a promise does not reset them, so
 *     that a site which can only send (a one-way partition) does not keep the others from resolving.
 *   - two processes in front of one participant's database, one of which was replaced in its round: the row is locked and read again
 *     for every step, and a round whose election is not the row's `lastElected` attempts nothing any more.
 *   - a site knows nothing of the transaction: it has not voted, so it records `aborted` and says so; its late PREPARE is refused.
 *   - a decided resolver crashes before it has told everybody: who is undecided asks again and hears rule 1.
 *
 * Sources: Keidar, Dolev, Increasing the Resilience of Atomic Commit, at No Additional Cost, PODS 1995 (E3PC: last_elected, last_attempt,
 * the rule of the maximal attempt; a majority never blocks, however failures cascade). Skeen, A Quorum-Based Commit Protocol, 1982. That
 * the promise must be durable is not said there in so many words; it follows from the argument above.
 */
import type { Decision, Envelope, OutcomeStatus, Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import { addressOf, compareElections, isFinal, majorityOf, NO_ATTEMPT, otherSites, type Election, type Group, type SiteRow, type SiteState } from './election.js';
import { ATTEMPT, type PreAck, type Refused, type StateReply, type ThreePhaseMessage } from './messages.js';
import type { SiteIgnore } from './ignores.js';

/** What a site knows of another since it asked for it. */
export interface Reply {
  readonly state: SiteState;
  readonly lastAttempt: Election;
}

/** What a site does under its own election. In memory only: a restarted site begins a round anew. */
export type Round =
  | { readonly step: 'asking'; readonly election: Election; /** By site. */ readonly replies: readonly (Reply | null)[] }
  | { readonly step: 'attempting'; readonly election: Election; readonly decision: Decision; /** By site. */ readonly followed: readonly boolean[] };

/** A round's beginning: the row must be durable before the messages leave. */
export interface Begun {
  readonly site: SiteRow;
  readonly round: Round;
  readonly messages: readonly Envelope<ThreePhaseMessage>[];
}

/** What an answer to a round leads to. */
export type Heard =
  | { readonly kind: 'counted'; readonly round: Round }
  | ({ readonly kind: 'attempts' } & Begun)
  | { readonly kind: 'decided'; readonly decision: Decision; readonly reason: Reason | null }
  | { readonly kind: 'dropped'; readonly rule: SiteIgnore };

// ---------------------------------------------------------------- beginning

/** Stands for election: greater than what the site has promised and than what a refusal has told. */
export function elect(group: Group, before: SiteRow, seen: number): Begun {
  const { txid, peers, self } = group;
  const election: Election = { n: Math.max(before.lastElected.n, seen) + 1, site: self };
  const site = { ...before, lastElected: election };
  return {
    site,
    round: { step: 'asking', election, replies: bySite(group, { state: site.state, lastAttempt: site.lastAttempt }, null) },
    messages: otherSites(group).map((to) => send(group, { protocol: '3pc', kind: 'STATE_REQUEST', txid, from: self, to, election, peers })),
  };
}

/** Attempts a decision under an election of this site, and is the first to follow. */
export function attempt(group: Group, before: SiteRow, election: Election, decision: Decision): Begun {
  const { txid, peers, self } = group;
  const kind = decision === 'COMMIT' ? 'PRE_COMMIT' : 'PRE_ABORT';
  return {
    site: { ...before, state: ATTEMPT[decision], lastElected: election, lastAttempt: election },
    round: { step: 'attempting', election, decision, followed: bySite(group, true, false) },
    messages: otherSites(group).map((to) => send(group, { protocol: '3pc', kind, txid, from: self, to, election, peers })),
  };
}

// ---------------------------------------------------------------- answers

/** A round is in memory, the row is not: who has been replaced may hold a round that the row has left behind, and must not turn the row back. */
export function hearReply(group: Group, site: SiteRow, round: Round | null, reply: StateReply): Heard {
  if (isFinal(reply.state)) return told(reply.state, reply.reason);
  if (round?.step !== 'asking' || compareElections(reply.election, round.election) !== 0) return { kind: 'dropped', rule: 'late-reply' };
  if (compareElections(site.lastElected, round.election) !== 0) return { kind: 'dropped', rule: 'late-reply' };
  if (round.replies[reply.from] !== null) return { kind: 'dropped', rule: 'repeated-reply' };
  const { state, lastAttempt } = reply;
  const replies = round.replies.map((known, from) => (from === reply.from ? { state, lastAttempt } : known));
  const known = replies.filter((each) => each !== null);
  if (known.length < majorityOf(group.peers)) return { kind: 'counted', round: { ...round, replies } };
  return { kind: 'attempts', ...attempt(group, site, round.election, choose(known)) };
}

export function hearPreAck({ peers }: Group, round: Round | null, ack: PreAck): Heard {
  if (isFinal(ack.state)) return told(ack.state, ack.reason);
  if (round?.step !== 'attempting' || compareElections(ack.election, round.election) !== 0) return { kind: 'dropped', rule: 'late-reply' };
  if (round.followed[ack.from]) return { kind: 'dropped', rule: 'repeated-reply' };
  const followed = round.followed.map((known, from) => known || from === ack.from);
  if (followed.filter(Boolean).length < majorityOf(peers)) return { kind: 'counted', round: { ...round, followed } };
  return { kind: 'decided', decision: round.decision, reason: round.decision === 'ABORT' ? resolvedReason(round.election) : null };
}

/** What a refusal teaches: the round is over if it was refused, and the next election must be greater than `seen`. */
export function hearRefusal(round: Round | null, seen: number, refused: Refused): { readonly round: Round | null; readonly seen: number } | SiteIgnore {
  if (round === null || compareElections(refused.election, round.election) !== 0) return 'late-reply';
  return { round: null, seen: Math.max(seen, refused.lastElected.n) };
}

/** Rule 2. Replies with the greatest attempt agree, because one election attempts one thing; if none was made they are prepared or waiting. */
function choose(replies: readonly Reply[]): Decision {
  const greatest = replies.reduce((max, { lastAttempt }) => (compareElections(lastAttempt, max) > 0 ? lastAttempt : max), NO_ATTEMPT);
  const carriers = replies.filter(({ lastAttempt }) => compareElections(lastAttempt, greatest) === 0);
  return carriers.every(({ state }) => state === 'pre-committed') ? 'COMMIT' : 'ABORT';
}

function told(state: OutcomeStatus, reason: Reason | undefined): Heard {
  return state === 'committed' ? { kind: 'decided', decision: 'COMMIT', reason: null } : { kind: 'decided', decision: 'ABORT', reason: reason ?? { code: ReasonCode.NO_RECORD } };
}

function resolvedReason({ n, site }: Election): Reason {
  return { code: ReasonCode.PEER_TERMINATION, detail: `a majority, asked by site ${site} in election ${n}, had not agreed to commit` };
}

// ---------------------------------------------------------------- small parts

function bySite<T>({ peers, self }: Group, own: T, others: T): readonly T[] {
  return Array.from({ length: peers.length + 1 }, (_, site) => (site === self ? own : others));
}

function send(group: Group, message: ThreePhaseMessage): Envelope<ThreePhaseMessage> {
  return { to: addressOf(group, message.to), message };
}
