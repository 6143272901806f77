/** What the leader's rules do: each effect gives the next state and what is owed for it. The rules are in leader.ts. */
import { backoffAt } from '../backoff.js';
import { NOTHING_OWED, type Ready, type TimerChange } from '../machine.js';
import type { Envelope, OutcomeStatus, Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { TransactionSpec } from '../two-phase-commit/types.js';
import { BALLOT_ZERO, compareBallots, majorityOf } from './ballot.js';
import type { Accepted, InstanceValue, PaxosAddress, ToAcceptor, ToPaxosParticipant } from './messages.js';
import type { PaxosBranch, PaxosGroup, PaxosLeaderConfig, PaxosLeaderRecord, PaxosLeaderState, PaxosLeaderStep, PaxosLeaderTimer } from './types.js';

export interface LeaderContext {
  readonly nowMs: number;
  readonly config: PaxosLeaderConfig;
}

type Outgoing = ToPaxosParticipant | ToAcceptor;
type Sent = Envelope<Outgoing, PaxosAddress>;
type Owed = Partial<Ready<PaxosLeaderRecord, Outgoing, PaxosLeaderTimer, PaxosAddress>>;

/** A recovery leader found no vote of some branch in any instance that it read. */
export const VOTE_NOT_FOUND = 'VOTE_NOT_FOUND';

const PROTOCOL = 'paxos-commit';
const UNKNOWN: PaxosBranch = { vote: null, reason: null, acked: false };

/** A leader that has not begun anything. */
export function idle(group: PaxosGroup, spec: TransactionSpec | null): PaxosLeaderState {
  return {
    group, spec, phase: spec === null ? 'resting' : 'preparing', ballot: BALLOT_ZERO, seenN: 0, promises: [], accepts: [], values: null,
    branches: group.peers.map(() => UNKNOWN), asked: null, outcome: null, reason: null, decidedAtMs: null,
  };
}

// ---------------------------------------------------------------- ballot 0

/** BEGIN is durable before any PREPARE leaves, so that recovery knows of every branch that may be prepared. */
export function start(spec: TransactionSpec, acceptors: PaxosGroup['acceptors'], context: LeaderContext): PaxosLeaderStep {
  const group = { txid: spec.txid, peers: spec.branches.map(({ participant }) => participant), acceptors };
  const state: PaxosLeaderState = { ...idle(group, spec), accepts: acceptors.map(() => false) };
  return step(state, {
    records: [{ kind: 'BEGIN', spec, acceptors }],
    messages: prepares(state, spec),
    timers: [{ set: 'prepare-timeout', atMs: Math.max(spec.deadlineMs, context.nowMs), attempt: 0 }],
  });
}

export function resendPrepares(state: PaxosLeaderState): PaxosLeaderStep {
  return step(state, { messages: state.spec === null ? [] : prepares(state, state.spec) });
}

// ---------------------------------------------------------------- own ballots

/**
 * Phase 1a of a ballot that is greater than all this leader has used or was refused for. LEAD is durable before it leaves, so no
 * ballot is led twice in spite of crashes.
 */
export function lead(state: PaxosLeaderState, asked: Reason, attempt: number, context: LeaderContext): PaxosLeaderStep {
  const { group } = state;
  const ballot = { n: Math.max(state.ballot.n, state.seenN) + 1, leader: context.config.leader };
  const reading: PaxosLeaderState = {
    ...state, phase: 'reading', ballot, promises: group.acceptors.map(() => null), accepts: [], values: null, asked: state.asked ?? asked,
  };
  return step(reading, {
    records: [{ kind: 'LEAD', group, ballot }],
    messages: toSilentAcceptors(reading, context),
    timers: [...(state.phase === 'preparing' ? [{ cancel: 'prepare-timeout' } as const] : []), ballotTimer(attempt, context)],
  });
}

/** Repeats to who has not answered; or, once a greater ballot was met, begins a ballot greater than that. */
export function continueBallot(state: PaxosLeaderState, attempt: number, context: LeaderContext): PaxosLeaderStep {
  if (state.spec === null && attempt > context.config.mostRepeats) return rest(state);
  if (state.seenN >= state.ballot.n) return lead(state, { code: VOTE_NOT_FOUND }, attempt, context);
  return step(state, { messages: toSilentAcceptors(state, context), timers: [ballotTimer(attempt, context)] });
}

export function repeatBallot(state: PaxosLeaderState, context: LeaderContext): PaxosLeaderStep {
  return step(state, { messages: toSilentAcceptors(state, context) });
}

export function noteRefusal(state: PaxosLeaderState, promisedN: number): PaxosLeaderStep {
  return step({ ...state, seenN: promisedN }, {});
}

/** Counts a promise; with a majority of them, phase 2a. The ballot's timer goes on, so that its pauses grow while rivals meet. */
export function countPromise(state: PaxosLeaderState, acceptor: number, accepted: readonly (Accepted | null)[], context: LeaderContext): PaxosLeaderStep {
  const promises = state.promises.map((known, i) => (i === acceptor ? accepted : known));
  const given = promises.filter((promise) => promise !== null);
  if (given.length < majorityOf(promises.length)) return step({ ...state, promises }, {});
  const values = state.group.peers.map((_, branch) => valueToPropose(given.map((votes) => votes[branch] ?? null)));
  const writing: PaxosLeaderState = { ...state, phase: 'writing', promises: [], accepts: promises.map(() => false), values };
  return step(writing, { messages: toSilentAcceptors(writing, context) });
}

/** The value of the greatest ballot among a majority's votes, as it may be chosen; a free instance becomes `aborted`. */
function valueToPropose(votes: readonly (Accepted | null)[]): InstanceValue {
  let highest: Accepted | null = null;
  for (const vote of votes) if (vote !== null && (highest === null || compareBallots(vote.ballot, highest.ballot) > 0)) highest = vote;
  return highest === null ? 'aborted' : highest.value;
}

/** Counts a 2b; a majority of them in one ballot is the decision. */
export function countAcceptance(state: PaxosLeaderState, acceptor: number, values: readonly InstanceValue[], context: LeaderContext): PaxosLeaderStep {
  const accepts = state.accepts.map((known, i) => known || i === acceptor);
  const counted = { ...state, accepts, values };
  return accepts.filter(Boolean).length < majorityOf(accepts.length) ? step(counted, {}) : decideByAcceptors(counted, values, context);
}

/** A leader on a participant's site that gets nowhere leaves it to others, and to its own participant's next request. */
function rest(state: PaxosLeaderState): PaxosLeaderStep {
  return step({ ...state, phase: 'resting', promises: [], accepts: [], values: null }, {});
}

// ---------------------------------------------------------------- decisions

function decideByAcceptors(state: PaxosLeaderState, values: readonly InstanceValue[], context: LeaderContext): PaxosLeaderStep {
  const branches = state.branches.map((branch, i): PaxosBranch => {
    if (values[i] === 'aborted') return branch;
    return { ...branch, vote: values[i] === 'prepared' ? 'yes' : 'read-only', acked: values[i] === 'read-only' };
  });
  const committed = !values.includes('aborted');
  return decide({ ...state, branches }, committed ? 'committed' : 'aborted', committed ? null : whyAborted(state, values), context);
}

/** A NO decides alone; the acceptors need not know. */
export function decideByRefusal(state: PaxosLeaderState, index: number, given: Reason, context: LeaderContext): PaxosLeaderStep {
  const reason = { ...given, participant: state.group.peers[index]! };
  const branches = state.branches.map((branch, i): PaxosBranch => (i === index ? { vote: 'no', reason, acked: true } : branch));
  return decide({ ...state, branches }, 'aborted', reason, context);
}

function decide(state: PaxosLeaderState, outcome: OutcomeStatus, reason: Reason | null, context: LeaderContext): PaxosLeaderStep {
  const phase = state.spec === null ? 'telling' : outcome === 'committed' ? 'committing' : 'aborting';
  const decided: PaxosLeaderState = { ...state, phase, outcome, reason, promises: [], accepts: [], values: null, decidedAtMs: context.nowMs };
  const waited = { cancel: state.phase === 'preparing' ? 'prepare-timeout' : 'ballot' } as const;
  const messages = decisionTo(decided, unacknowledged(decided));
  const nothingAwaited = messages.length === 0 || (phase === 'aborting' && !asksForAcks(decided));
  if (phase !== 'telling' && nothingAwaited) return end(decided, { messages, timers: [waited] }, context);
  return step(decided, { messages, timers: [waited, resendTimer(0, context)] });
}

/** The reason that was asked for, and whose vote was missing. */
function whyAborted({ asked, group, spec }: PaxosLeaderState, values: readonly InstanceValue[]): Reason {
  const missing = group.peers.flatMap((name, i) => (values[i] === 'aborted' ? [{ name, i }] : []));
  const code = asked?.code ?? VOTE_NOT_FOUND;
  if (code !== ReasonCode.PREPARE_TIMEOUT && code !== VOTE_NOT_FOUND) return asked!;
  const within = spec === null ? '' : ` within ${spec.deadlineMs - spec.createdAtMs} ms`;
  return {
    code, ...(missing.length === 1 && { participant: missing[0]!.name }),
    detail: `no vote from ${missing.map(({ name, i }) => `${name} (branch ${i})`).join(', ')}${within}`,
  };
}

// ---------------------------------------------------------------- phase two of the commit

export function resendDecision(state: PaxosLeaderState, attempt: number, context: LeaderContext): PaxosLeaderStep {
  if (state.spec === null && attempt > context.config.mostRepeats) return rest(state);
  return step(state, { messages: decisionTo(state, unacknowledged(state)), timers: [resendTimer(attempt, context)] });
}

/** Its own participant is still in doubt, or again: what is known is told again. */
export function tellAgain(state: PaxosLeaderState, context: LeaderContext): PaxosLeaderStep {
  return resendDecision({ ...state, phase: 'telling' }, 0, context);
}

export function tellBranch(state: PaxosLeaderState, branch: number): PaxosLeaderStep {
  return step(state, { messages: decisionTo(state, [branch]) });
}

export function settleAck(state: PaxosLeaderState, index: number, context: LeaderContext): PaxosLeaderStep {
  const branches = state.branches.slice();
  branches[index] = { ...branches[index]!, acked: true };
  const settled = { ...state, branches };
  return branches.every(({ acked }) => acked) ? finish(settled, context) : step(settled, {});
}

/** END after a phase two that was waiting for ACKs, complete or not. */
export function finish(state: PaxosLeaderState, context: LeaderContext): PaxosLeaderStep {
  return end(state, { timers: [{ cancel: 'resend' }] }, context);
}

/** Ends the transaction: it may be forgotten once END is durable. */
function end(state: PaxosLeaderState, owed: Omit<Owed, 'records'>, { nowMs }: LeaderContext): PaxosLeaderStep {
  const { group: { txid }, outcome, reason, branches } = state;
  if (outcome === null) throw new Error(`transaction ${txid} cannot end undecided`);
  return step({ ...state, phase: 'finished' }, { ...owed, records: [{ kind: 'END', txid, outcome, reason, branches, atMs: nowMs }] });
}

// ---------------------------------------------------------------- messages

function prepares({ group }: PaxosLeaderState, spec: TransactionSpec): readonly Sent[] {
  const { txid, peers, acceptors } = group;
  return spec.branches.map(({ participant, operation, payload }, branch) => ({
    to: { role: 'participant', name: participant },
    message: { protocol: PROTOCOL, kind: 'PREPARE', txid, branch, operation, payload, peers, acceptors },
  }));
}

/** 1a or 2a, as the phase has it, to all acceptors that have not answered it. */
function toSilentAcceptors(state: PaxosLeaderState, { config: { address: leader } }: LeaderContext): readonly Sent[] {
  const { group: { txid, peers, acceptors }, ballot, values, promises, accepts } = state;
  const message: ToAcceptor = values === null
    ? { protocol: PROTOCOL, kind: 'PHASE_1A', txid, ballot, peers, leader }
    : { protocol: PROTOCOL, kind: 'PHASE_2A', txid, ballot, peers, values, leader };
  const hasAnswered = (i: number) => (values === null ? promises[i] !== null : accepts[i]);
  return acceptors.flatMap((name, i): readonly Sent[] => (hasAnswered(i) ? [] : [{ to: { role: 'acceptor', name }, message }]));
}

function decisionTo(state: PaxosLeaderState, branches: readonly number[]): readonly Sent[] {
  const { group: { txid, peers }, outcome } = state;
  return branches.map((branch) => ({
    to: { role: 'participant', name: peers[branch]! },
    message: outcome === 'committed' ? { protocol: PROTOCOL, kind: 'COMMIT', txid, branch } : abort(state, branch),
  }));
}

function abort(state: PaxosLeaderState, branch: number): ToPaxosParticipant {
  const reason = state.reason ?? { code: VOTE_NOT_FOUND };
  const message = { protocol: PROTOCOL, kind: 'ABORT', txid: state.group.txid, branch, reason } as const;
  return asksForAcks(state) ? { ...message, ack: true } : message;
}

// ---------------------------------------------------------------- small parts

function unacknowledged({ branches }: PaxosLeaderState): readonly number[] {
  return branches.flatMap(({ acked }, i) => (acked ? [] : [i]));
}

/** Aborts are acknowledged only for a client that waits until everyone has applied them, and only while END is outstanding. */
function asksForAcks({ phase, spec }: PaxosLeaderState): boolean {
  return phase === 'aborting' && spec?.waitFor === 'finished';
}

function ballotTimer(attempt: number, { nowMs, config }: LeaderContext): TimerChange<PaxosLeaderTimer> {
  return { set: 'ballot', atMs: backoffAt(nowMs, attempt, config.resendAfterMs, config.maxResendIntervalMs) + config.staggerMs, attempt };
}

function resendTimer(attempt: number, { nowMs, config }: LeaderContext): TimerChange<PaxosLeaderTimer> {
  return { set: 'resend', atMs: backoffAt(nowMs, attempt, config.resendAfterMs, config.maxResendIntervalMs), attempt };
}

function step(state: PaxosLeaderState, owed: Owed): PaxosLeaderStep {
  return { state, ready: { records: owed.records ?? NOTHING_OWED.records, messages: owed.messages ?? NOTHING_OWED.messages, timers: owed.timers ?? NOTHING_OWED.timers } };
}
