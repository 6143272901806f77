/** What the coordinator's rules do: each effect gives the next state and what is owed for it. The rules are in coordinator.ts. */
import { backoffAt } from '../backoff.js';
import type { Ready, TimerChange } from '../machine.js';
import type { Decision, Envelope, Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { TransactionSpec } from '../two-phase-commit/types.js';
import { blankProgress, replaceBranch } from '../two-phase-commit/progress.js';
import { compareElections, firstElection, NO_ATTEMPT, type Group, type SiteRow } from './election.js';
import type { ThreePhaseMessage } from './messages.js';
import { attempt, elect, type Begun } from './resolver.js';
import type { Answered } from './site.js';
import { resolveAtMs } from './timing.js';
import type { CoordinatorConfig, CoordinatorRecord, CoordinatorState, CoordinatorStep, CoordinatorTimer } from './types.js';

export interface Context {
  readonly nowMs: number;
  readonly config: CoordinatorConfig;
}

interface Owed {
  readonly records?: readonly CoordinatorRecord[];
  readonly messages?: readonly Envelope<ThreePhaseMessage>[];
  readonly timers?: readonly TimerChange<CoordinatorTimer>[];
}

// ---------------------------------------------------------------- phase one

/** BEGIN is durable before any PREPARE leaves, so that recovery knows of every branch that may be prepared. */
export function start(spec: TransactionSpec): CoordinatorStep {
  const site: SiteRow = { state: 'waiting', lastElected: firstElection(peersOf(spec)), lastAttempt: NO_ATTEMPT, reason: null };
  const state: CoordinatorState = {
    spec, phase: 'beginning', site, branches: blankProgress(spec), abortAsked: null, round: null, seen: 0, decidedAtMs: null, finishedAtMs: null,
  };
  return step(state, { records: [{ kind: 'BEGIN', spec, site }] });
}

export function askForVotes(state: CoordinatorState, { nowMs }: Context): CoordinatorStep {
  const sent = sendTo({ ...state, phase: 'preparing' }, [...state.branches.keys()], prepareFor(state));
  return step(sent.state, { messages: sent.messages, timers: [{ set: 'prepare-timeout', atMs: Math.max(state.spec.deadlineMs, nowMs), attempt: 0 }] });
}

export function resendPrepares(state: CoordinatorState): CoordinatorStep {
  const sent = sendTo(state, branchesWhere(state, (branch) => branch.vote === null), prepareFor(state));
  return step(sent.state, { messages: sent.messages });
}

// ---------------------------------------------------------------- phase two

/** All have voted yes or read-only: the first attempt, by the first coordinator, and the only one that it makes without asking. */
export function preCommit(state: CoordinatorState, context: Context): CoordinatorStep {
  const begun = attempt(groupOf(state), state.site, firstElection(peersOf(state.spec)), 'COMMIT');
  return beginRound({ ...state, phase: 'resolving' }, begun, [{ cancel: 'prepare-timeout' }, resolveTimer(0, state, context)], context);
}

/** @param attemptCount how often this site has stood since its last sign of life, for the backoff of the next time */
export function standForElection(state: CoordinatorState, attemptCount: number, context: Context): CoordinatorStep {
  const begun = elect(groupOf(state), state.site, state.seen);
  return beginRound({ ...state, phase: 'resolving' }, begun, [resolveTimer(attemptCount, state, context)], context);
}

/** Every round begins with a durable row: no election is used twice, by whichever owner. */
export function beginRound(state: CoordinatorState, { site, round, messages }: Begun, timers: Owed['timers'], context: Context): CoordinatorStep {
  const begun: CoordinatorState = { ...state, site, round };
  return step(begun, { records: [stateRecord(begun, context)], messages, timers: timers ?? [] });
}

/** The answer to somebody else's round; it ends one's own if anything was promised or followed. */
export function answerFrom(state: CoordinatorState, { changed, site, messages }: Answered, context: Context): CoordinatorStep {
  if (!changed) return step(state, { messages });
  const answered: CoordinatorState = { ...state, site, round: null };
  const followed = compareElections(site.lastAttempt, state.site.lastAttempt) !== 0;
  return step(answered, { records: [stateRecord(answered, context)], messages, timers: followed ? [resolveTimer(0, state, context)] : [] });
}

// ---------------------------------------------------------------- phase three

/** The decision is durable here before anybody hears it from here. */
export function decide(state: CoordinatorState, decision: Decision, reason: Reason | null, context: Context, first: Owed['messages'] = []): CoordinatorStep {
  const commit = decision === 'COMMIT';
  const decided: CoordinatorState = {
    ...state, phase: commit ? 'committing' : 'aborting', round: null, decidedAtMs: context.nowMs,
    site: { ...state.site, state: commit ? 'committed' : 'aborted', reason: commit ? null : reason },
    branches: state.branches.map((branch) => (branch.acked ? branch : { ...branch, attempts: 0 })),
  };
  return tellDecision(decided, { records: [stateRecord(decided, context)], messages: first, timers: cancelled(state.phase) }, context);
}

/** A cancel came before anybody was asked for a vote: nobody has to be told. */
export function abortUnheard(state: CoordinatorState, reason: Reason, context: Context): CoordinatorStep {
  return decide({ ...state, branches: state.branches.map((branch) => ({ ...branch, acked: true })) }, 'ABORT', reason, context);
}

/** The timer that a decision ends. */
function cancelled(phase: CoordinatorState['phase']): readonly TimerChange<CoordinatorTimer>[] {
  if (phase === 'preparing') return [{ cancel: 'prepare-timeout' }];
  return phase === 'resolving' ? [{ cancel: 'resolve' }] : [];
}

/** COMMIT or ABORT to every branch that may be undecided; END at once if no ACK is awaited. */
export function tellDecision(state: CoordinatorState, { records = [], messages = [], timers = [] }: Owed, context: Context): CoordinatorStep {
  const sent = sendTo(state, unacknowledged(state), state.phase === 'committing' ? commit : abort);
  const owed = { records, messages: [...messages, ...sent.messages], timers };
  const nothingAwaited = sent.messages.length === 0 || !asksForAcks(state);
  return nothingAwaited ? end(sent.state, owed, context) : step(sent.state, { ...owed, timers: [...timers, resendTimer(0, context)] });
}

export function resendDecision(state: CoordinatorState, attemptCount: number, context: Context): CoordinatorStep {
  const sent = sendTo(state, unacknowledged(state), state.phase === 'committing' ? commit : abort);
  return step(sent.state, { messages: sent.messages, timers: [resendTimer(attemptCount, context)] });
}

export function settleAck(state: CoordinatorState, index: number, context: Context): CoordinatorStep {
  const settled = { ...state, branches: replaceBranch(state.branches, index, { ...state.branches[index]!, acked: true }) };
  return unacknowledged(settled).length === 0 ? finish(settled, context) : step(settled, {});
}

/** END after ACKs were awaited, complete or not. */
export function finish(state: CoordinatorState, context: Context): CoordinatorStep {
  return end(state, { timers: [{ cancel: 'resend' }] }, context);
}

function end(state: CoordinatorState, owed: Owed, { nowMs }: Context): CoordinatorStep {
  const record: CoordinatorRecord = { kind: 'END', txid: state.spec.txid, branches: state.branches, atMs: nowMs };
  return step({ ...state, phase: 'finished', finishedAtMs: nowMs }, { ...owed, records: [...owed.records ?? [], record] });
}

// ---------------------------------------------------------------- messages

type MessageFor = (state: CoordinatorState, branch: number) => ThreePhaseMessage;

function prepareFor({ spec }: CoordinatorState): MessageFor {
  const { txid, branches } = spec;
  const peers = peersOf(spec);
  return (_state, to) => {
    const { operation, payload } = branches[to]!;
    return { protocol: '3pc', txid, from: branches.length, to, kind: 'PREPARE', operation, payload, peers };
  };
}

function commit({ spec }: CoordinatorState, to: number): ThreePhaseMessage {
  return { protocol: '3pc', txid: spec.txid, from: spec.branches.length, to, kind: 'COMMIT', ack: true };
}

function abort(state: CoordinatorState, branch: number): ThreePhaseMessage {
  const message = { ...about(state, branch), kind: 'ABORT', reason: state.site.reason ?? { code: ReasonCode.NO_RECORD } } as const;
  return asksForAcks(state) ? { ...message, ack: true } : message;
}

function about({ spec }: CoordinatorState, to: number) {
  return { protocol: '3pc', txid: spec.txid, from: spec.branches.length, to } as const;
}

function sendTo(state: CoordinatorState, indexes: readonly number[], messageFor: MessageFor) {
  const branches = state.branches.slice();
  const messages: Envelope<ThreePhaseMessage>[] = [];
  for (const i of indexes) {
    const branch = branches[i]!;
    branches[i] = { ...branch, attempts: branch.attempts + 1 };
    messages.push({ to: { role: 'participant', name: state.spec.branches[i]!.participant }, message: messageFor(state, i) });
  }
  return { state: { ...state, branches }, messages };
}

// ---------------------------------------------------------------- small parts

export function groupOf({ spec }: Pick<CoordinatorState, 'spec'>): Group {
  return { txid: spec.txid, peers: peersOf(spec), self: spec.branches.length };
}

export function branchesWhere({ branches }: CoordinatorState, test: (branch: CoordinatorState['branches'][number]) => boolean): readonly number[] {
  const indexes: number[] = [];
  for (let i = 0; i < branches.length; i++) if (test(branches[i]!)) indexes.push(i);
  return indexes;
}

function peersOf(spec: TransactionSpec): readonly string[] {
  return spec.branches.map(({ participant }) => participant);
}

function unacknowledged(state: CoordinatorState): readonly number[] {
  return branchesWhere(state, (branch) => !branch.acked);
}

/** An ABORT is acknowledged only for a client that waits until everyone has applied it: who misses it resolves, and finds this row. */
function asksForAcks({ phase, spec }: CoordinatorState): boolean {
  return phase === 'committing' || spec.waitFor === 'finished';
}

function stateRecord({ spec, site, branches }: CoordinatorState, { nowMs }: Context): CoordinatorRecord {
  return { kind: 'STATE', txid: spec.txid, site, branches, atMs: nowMs };
}

function resolveTimer(attemptCount: number, { spec }: CoordinatorState, { nowMs, config }: Context): TimerChange<CoordinatorTimer> {
  return { set: 'resolve', atMs: resolveAtMs(nowMs, attemptCount, spec.branches.length, config), attempt: attemptCount };
}

function resendTimer(attemptCount: number, { nowMs, config }: Context): TimerChange<CoordinatorTimer> {
  return { set: 'resend', atMs: backoffAt(nowMs, attemptCount, config.resendAfterMs, config.maxResendIntervalMs), attempt: attemptCount };
}

export function step(state: CoordinatorState, { records = [], messages = [], timers = [] }: Owed): CoordinatorStep {
  return { state, ready: { records, messages, timers } satisfies Ready<CoordinatorRecord, ThreePhaseMessage, CoordinatorTimer> };
}
