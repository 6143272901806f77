/** What the coordinator's rules do: each effect gives the next state and what is owed for it. The rules are in coordinator.ts. */
import type { Decision, Envelope, OnePhaseOutcome, Reason, ToParticipant } from '../messages.js';
import { ReasonCode } from '../messages.js';
import { NOTHING_OWED, type Ready, type TimerChange } from '../machine.js';
import { backoffAt } from '../backoff.js';
import { blankProgress, branchesWhere, refusal, replaceBranch } from './progress.js';
import type { CoordinatorConfig, CoordinatorRecord, CoordinatorState, CoordinatorStep, CoordinatorTimer, TransactionSpec } from './types.js';

export interface Context {
  readonly nowMs: number;
  readonly config: CoordinatorConfig;
}

/** Messages, and the state that has counted them as attempts. */
export interface Sent {
  readonly state: CoordinatorState;
  readonly messages: readonly Envelope<ToParticipant>[];
}

type Owed = Partial<Ready<CoordinatorRecord, ToParticipant, CoordinatorTimer>>;

// ---------------------------------------------------------------- phase one

/** BEGIN is durable before any PREPARE leaves, so that recovery knows of every branch that may be prepared. */
export function start(spec: TransactionSpec, context: Context): CoordinatorStep {
  const onePhase = spec.branches.length === 1;
  const state: CoordinatorState = {
    spec, phase: onePhase ? 'one-phase' : 'preparing', branches: blankProgress(spec),
    outcome: null, reason: null, abortAsked: null, decidedAtMs: null, finishedAtMs: null,
  };
  const sent = onePhase ? sendTo(state, [0], onePhaseRequest) : sendTo(state, allBranches(state), prepareFor(state));
  return step(sent.state, {
    records: [{ kind: 'BEGIN', spec }],
    messages: sent.messages,
    timers: [{ set: 'prepare-timeout', atMs: Math.max(spec.deadlineMs, context.nowMs), attempt: 0 }],
  });
}

export function resendPrepares(state: CoordinatorState, _context: Context): CoordinatorStep {
  const sent = sendTo(state, branchesWhere(state, (branch) => branch.vote === null), prepareFor(state));
  return step(sent.state, { messages: sent.messages });
}

/** Asks the register for a decision. From here on only REGISTERED moves the transaction. */
export function propose(state: CoordinatorState, decision: Decision, reason: Reason | null, context: Context): CoordinatorStep {
  const { txid } = state.spec;
  return step({ ...state, phase: 'deciding' }, {
    records: [{ kind: 'DECIDE', txid, decision, reason, branches: state.branches, atMs: context.nowMs }],
    timers: [{ cancel: 'prepare-timeout' }],
  });
}

/** Nobody has anything to apply, so nothing needs deciding: R*, presumed abort, read-only transactions. */
export function endCommittedReadOnly(state: CoordinatorState, context: Context): CoordinatorStep {
  const decided: CoordinatorState = { ...state, outcome: 'committed', decidedAtMs: context.nowMs };
  return end(decided, { timers: [{ cancel: 'prepare-timeout' }] }, context);
}

// ---------------------------------------------------------------- phase two

/** Tells the decision to every branch that may be prepared: yes-voters, and those whose vote is not known here. */
export function phaseTwo(state: CoordinatorState, decision: Decision, reason: Reason | null, decidedAtMs: number, context: Context): CoordinatorStep {
  const commit = decision === 'COMMIT';
  const decided: CoordinatorState = {
    ...state, phase: commit ? 'committing' : 'aborting', outcome: commit ? 'committed' : 'aborted', reason, decidedAtMs,
  };
  // Attempts count anew: this is the first of its phase.
  const sent = sendTo(decided, unacknowledged(decided), commit ? commitMessage : abort, 0);
  const nothingAwaited = sent.messages.length === 0 || (!commit && !asksForAcks(decided));
  if (nothingAwaited) return end(sent.state, { messages: sent.messages }, context);
  return step(sent.state, { messages: sent.messages, timers: [resendTimer(0, context)] });
}

export function resendPhaseTwo(state: CoordinatorState, attempt: number, context: Context): CoordinatorStep {
  const sent = decisionTo(state, unacknowledged(state));
  return step(sent.state, { messages: sent.messages, timers: [resendTimer(attempt, context)] });
}

/** COMMIT or ABORT to these branches, as decided. */
export function decisionTo(state: CoordinatorState, branches: readonly number[]): Sent {
  return sendTo(state, branches, state.outcome === 'committed' ? commitMessage : abort);
}

export function settleAck(state: CoordinatorState, index: number, context: Context): CoordinatorStep {
  const branches = replaceBranch(state.branches, index, { ...state.branches[index]!, acked: true });
  const settled = { ...state, branches };
  return branches.every(({ acked }) => acked) ? finish(settled, context) : step(settled, {});
}

/** END after a phase two that was waiting for ACKs, complete or not. */
export function finish(state: CoordinatorState, context: Context): CoordinatorStep {
  return end(state, { timers: [{ cancel: 'resend' }] }, context);
}

// ---------------------------------------------------------------- one-phase

/** From here on every repetition asks for the abort; only the participant's outcome ends the transaction. */
export function askOnePhaseAbort(state: CoordinatorState, reason: Reason, context: Context): CoordinatorStep {
  const sent = sendTo({ ...state, abortAsked: reason }, [0], onePhaseRequest);
  return step(sent.state, { messages: sent.messages, timers: [{ cancel: 'prepare-timeout' }, resendTimer(0, context)] });
}

/** Repeats what was last asked for. The work itself is repeated on demand only: its deadline turns it into an abort. */
export function resendOnePhase(state: CoordinatorState, attempt: number, context: Context): CoordinatorStep {
  const sent = sendTo(state, [0], onePhaseRequest);
  return step(sent.state, { messages: sent.messages, timers: state.abortAsked ? [resendTimer(attempt, context)] : [] });
}

/** The participant has decided; the coordinator writes down what it was told. */
export function endOnePhase(state: CoordinatorState, message: OnePhaseOutcome, context: Context): CoordinatorStep {
  const committed = message.outcome === 'committed';
  const told = committed ? null : message.reason ?? state.abortAsked ?? { code: ReasonCode.REFUSED };
  // An abort for the coordinator's own reason is no refusal by the participant.
  const asked = told !== null && told.code === state.abortAsked?.code;
  const reason = told === null || asked ? told : refusal(told, state.spec.branches[0]!.participant);
  const branch = {
    ...state.branches[0]!, vote: committed ? 'yes' : asked ? null : 'no', reason, result: message.result ?? null, acked: true,
  } as const;
  const decided: CoordinatorState = { ...state, branches: [branch], outcome: message.outcome, reason, decidedAtMs: context.nowMs };
  return end(decided, { timers: [{ cancel: state.abortAsked ? 'resend' : 'prepare-timeout' }] }, context);
}

// ---------------------------------------------------------------- messages

type MessageFor = (state: CoordinatorState, branch: number) => ToParticipant;

function prepareFor({ spec }: CoordinatorState): MessageFor {
  const { txid, branches } = spec;
  const peers = branches.map((peer) => peer.participant);
  return (_state, branch) => {
    const { operation, payload } = branches[branch]!;
    return { kind: 'PREPARE', txid, branch, operation, payload, peers };
  };
}

function onePhaseRequest({ spec, abortAsked }: CoordinatorState, branch: number): ToParticipant {
  if (abortAsked) return { kind: 'ABORT_ONE_PHASE', txid: spec.txid, branch, reason: abortAsked };
  const { operation, payload } = spec.branches[branch]!;
  return { kind: 'PREPARE_AND_COMMIT', txid: spec.txid, branch, operation, payload };
}

function commitMessage({ spec }: CoordinatorState, branch: number): ToParticipant {
  return { kind: 'COMMIT', txid: spec.txid, branch };
}

function abort(state: CoordinatorState, branch: number): ToParticipant {
  const reason = state.reason ?? { code: ReasonCode.NO_RECORD };
  const message = { kind: 'ABORT', txid: state.spec.txid, branch, reason } as const;
  return asksForAcks(state) ? { ...message, ack: true } : message;
}

/** @param attemptsBefore absent: as the branch has counted them */
function sendTo(state: CoordinatorState, indexes: readonly number[], messageFor: MessageFor, attemptsBefore?: number): Sent {
  const branches = state.branches.slice();
  const messages: Envelope<ToParticipant>[] = [];
  for (const i of indexes) {
    const branch = branches[i]!;
    branches[i] = { ...branch, attempts: (attemptsBefore ?? branch.attempts) + 1 };
    messages.push({ to: { role: 'participant', name: state.spec.branches[i]!.participant }, message: messageFor(state, i) });
  }
  return { state: { ...state, branches }, messages };
}

// ---------------------------------------------------------------- small parts

function allBranches(state: CoordinatorState): readonly number[] {
  return branchesWhere(state, () => true);
}

function unacknowledged(state: CoordinatorState): readonly number[] {
  return branchesWhere(state, (branch) => !branch.acked);
}

/** Aborts are acknowledged only for a client that waits until everyone has applied them, and only while END is outstanding. */
function asksForAcks(state: CoordinatorState): boolean {
  return state.phase === 'aborting' && state.spec.waitFor === 'finished';
}

function resendTimer(attempt: number, { nowMs, config }: Context): TimerChange<CoordinatorTimer> {
  return { set: 'resend', atMs: backoffAt(nowMs, attempt, config.resendAfterMs, config.maxResendIntervalMs), attempt };
}

/** Ends the transaction: it may be forgotten once END is durable. */
function end(state: CoordinatorState, owed: Omit<Owed, 'records'>, { nowMs }: Context): CoordinatorStep {
  const { spec: { txid }, outcome, reason, branches } = state;
  if (outcome === null) throw new Error(`transaction ${txid} cannot end undecided`);
  const record: CoordinatorRecord = { kind: 'END', txid, outcome, reason, branches, atMs: nowMs };
  return step({ ...state, phase: 'finished', finishedAtMs: nowMs }, { ...owed, records: [record] });
}

function step(state: CoordinatorState, owed: Owed): CoordinatorStep {
  return { state, ready: { records: owed.records ?? NOTHING_OWED.records, messages: owed.messages ?? NOTHING_OWED.messages, timers: owed.timers ?? NOTHING_OWED.timers } };
}
