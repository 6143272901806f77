/** What the rules of a saga's coordinator do: each effect gives the next state and what is owed for it. The rules are in coordinator.ts. */
import type { TimerChange } from '../machine.js';
import type { Decision, Envelope, Json, Reason } from '../messages.js';
import { retryDelayMs } from './backoff.js';
import type { SagaToParticipant } from './messages.js';
import {
  blankSteps, inputsOf, isCompensated, isComplete, mergeReports, pivotInFlight, readyToCommit, reportsOf, stepsFromRecords, stepsIn, stepsToCompensate,
  stepsToSend,
} from './progress.js';
import {
  SagaReasonCode,
  type SagaCoordinatorInput, type SagaCoordinatorState, type SagaCoordinatorStep, type SagaProgress, type SagaRecord, type SagaRegister, type SagaSpec,
  type SagaTimer,
} from './types.js';

/** The step under construction. Local to one call of the machine. */
interface Draft {
  state: SagaCoordinatorState;
  readonly nowMs: number;
  readonly records: SagaRecord[];
  readonly messages: Envelope<SagaToParticipant>[];
  readonly timers: TimerChange<SagaTimer>[];
}

type Recover = Extract<SagaCoordinatorInput, { kind: 'RECOVER' }>;

// ---------------------------------------------------------------- start and recovery

/** BEGIN is durable before any EXECUTE leaves, in the same flush as the SENT records of the first wave. */
export function start(spec: SagaSpec, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(blankState(spec), nowMs);
  draft.records.push({ kind: 'BEGIN', spec });
  armDeadline(draft);
  return forward(draft);
}

/** A saga survives its coordinator: unless its time is over it goes on where the records say it was. */
export function recover({ spec, sent, skipped, attention, register }: Recover, nowMs: number): SagaCoordinatorStep {
  const state: SagaCoordinatorState = { ...blankState(spec), steps: stepsFromRecords(spec, sent, skipped), attention };
  if (register) return obey({ ...state, phase: 'deciding' }, register, nowMs);
  if (nowMs >= spec.deadlineMs) return giveUp(state, sagaTimeout(spec), nowMs);
  const draft = draftOf(state, nowMs);
  armDeadline(draft);
  for (const i of stepsIn(state, 'sent')) sendAgain(draft, i, 'first');
  return forward(draft);
}

// ---------------------------------------------------------------- forward

export function settleExecuted(state: SagaCoordinatorState, i: number, result: Json, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  change(draft, i, { state: 'done', result, reason: null });
  draft.timers.push({ cancel: timerOf(state.spec, i) });
  return forward(draft);
}

/** Sends everything that is due now: one flush for the whole wave. Proposes COMMIT, or ends, when there is nothing to wait for. */
function forward(draft: Draft): SagaCoordinatorStep {
  const { phase } = draft.state;
  if (phase !== 'completing' && readyToCommit(draft.state)) return propose(draft, 'COMMIT', null);
  if (phase === 'completing' && isComplete(draft.state)) return end(draft, null);
  if (phase === 'cancelling') return done(draft);
  for (const i of stepsToSend(draft.state)) {
    const inputs = inputsOf(draft.state, i);
    const { txid, steps } = draft.state.spec;
    draft.records.push({ kind: 'SENT', txid, step: steps[i]!.id, inputs });
    change(draft, i, { state: 'sent', inputs });
    sendAgain(draft, i, 'first');
  }
  return done(draft);
}

/** A step before the decision got no answer in time: again, unless its attempts or its time are used up. */
export function retryOrGiveUp(state: SagaCoordinatorState, i: number, nowMs: number): SagaCoordinatorStep {
  const { participant, timeoutMs, retry, id } = state.spec.steps[i]!;
  const { attempts, sinceMs, reason } = state.steps[i]!;
  const because = (code: string, when: string) => giveUp(state, { code, participant, detail: `step ${id}: ${failureText(reason)} ${when}` }, nowMs);
  if (nowMs - sinceMs! >= timeoutMs) return because(SagaReasonCode.STEP_TIMEOUT, `within ${timeoutMs} ms`);
  if (attempts >= retry.maxAttempts) return because(SagaReasonCode.RETRIES_EXHAUSTED, `after ${attempts} attempts`);
  const draft = draftOf(state, nowMs);
  sendAgain(draft, i, 'next');
  return done(draft);
}

// ---------------------------------------------------------------- giving up

/** The step will never have an effect (REFUSED, CANCELLED). */
export function settleRefused(state: SagaCoordinatorState, i: number, reason: Reason, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  change(draft, i, { state: 'refused', reason });
  if (state.phase === 'deciding') return done(draft);
  draft.timers.push({ cancel: timerOf(state.spec, i) });
  return backOut(draft, state.reason ?? reason);
}

export function giveUp(state: SagaCoordinatorState, reason: Reason, nowMs: number): SagaCoordinatorStep {
  return backOut(draftOf(state, nowMs), reason);
}

/** Wants to abort. A pivot that may have executed is asked first: its row decides. */
function backOut(draft: Draft, reason: Reason): SagaCoordinatorStep {
  const pivot = pivotInFlight(draft.state);
  if (pivot < 0) return propose(draft, 'ABORT', reason);
  if (draft.state.phase === 'cancelling') return done(draft);
  draft.state = { ...draft.state, phase: 'cancelling', reason };
  draft.timers.push({ cancel: 'deadline' });
  sendAgain(draft, pivot, 'first');
  return done(draft);
}

// ---------------------------------------------------------------- the decision

/** Asks the register. From here on only REGISTERED moves the saga. */
function propose(draft: Draft, decision: Decision, reason: Reason | null): SagaCoordinatorStep {
  const { spec, phase } = draft.state;
  if (phase === 'running') draft.timers.push({ cancel: 'deadline' });
  for (const i of stepsIn(draft.state, 'sent')) draft.timers.push({ cancel: timerOf(spec, i) });
  draft.state = { ...draft.state, phase: 'deciding', reason };
  draft.records.push({ kind: 'DECIDE', txid: spec.txid, decision, reason, steps: reportsOf(draft.state), atMs: draft.nowMs });
  return done(draft);
}

/** Does what the register says, whatever was proposed. */
export function obey(state: SagaCoordinatorState, { decision, reason, steps: reports, atMs }: SagaRegister, nowMs: number): SagaCoordinatorStep {
  const commit = decision === 'COMMIT';
  const draft = draftOf({
    ...state, phase: commit ? 'completing' : 'compensating', outcome: commit ? 'completed' : 'compensated',
    steps: mergeReports(state.steps, reports), reason: commit ? null : reason, decidedAtMs: atMs,
  }, nowMs);
  if (!commit) return backward(draft);
  for (const i of stepsIn(draft.state, 'sent')) sendAgain(draft, i, 'first');
  return forward(draft);
}

// ---------------------------------------------------------------- backward

export function settleCompensated(state: SagaCoordinatorState, i: number, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  settleBackward(draft, i, 'compensated');
  return backward(draft);
}

function settleBackward(draft: Draft, i: number, as: 'compensated' | 'skipped'): void {
  if (draft.state.steps[i]!.state === 'compensating') draft.timers.push({ cancel: timerOf(draft.state.spec, i) });
  change(draft, i, { state: as });
}

function backward(draft: Draft): SagaCoordinatorStep {
  if (isCompensated(draft.state)) return end(draft, null);
  for (const i of stepsToCompensate(draft.state)) {
    change(draft, i, { state: 'compensating', reason: null });
    sendAgain(draft, i, 'first');
  }
  return done(draft);
}

// ---------------------------------------------------------------- for ever

/** Repeats what is never given up (CANCEL_STEP, retriable EXECUTE, COMPENSATE), and calls for attention once when it takes too long. */
export function repeat(state: SagaCoordinatorState, i: number, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  const why = state.attention === null ? needsAttention(state, i, nowMs) : null;
  if (why !== null) {
    const attention = { step: state.spec.steps[i]!.id, why, atMs: nowMs };
    draft.state = { ...state, attention };
    draft.records.push({ kind: 'ATTENTION', txid: state.spec.txid, ...attention });
  }
  sendAgain(draft, i, 'next');
  return done(draft);
}

function needsAttention({ spec, phase, steps, decidedAtMs }: SagaCoordinatorState, i: number, nowMs: number): Reason | null {
  const { attempts, sinceMs, reason } = steps[i]!;
  const { participant, timeoutMs } = spec.steps[i]!;
  const about = { participant, detail: failureText(reason) };
  if (attempts >= spec.attentionAfterAttempts) return { code: SagaReasonCode.RETRIES_EXHAUSTED, ...about };
  if (phase === 'compensating') return nowMs - decidedAtMs! >= spec.compensationTimeoutMs ? { code: SagaReasonCode.COMPENSATION_OVERDUE, ...about } : null;
  return nowMs - sinceMs! >= timeoutMs ? { code: SagaReasonCode.STEP_TIMEOUT, ...about } : null;
}

// ---------------------------------------------------------------- operators

/** Sends again what is outstanding, with its attempts and its backoff from the beginning. */
export function retryNow(state: SagaCoordinatorState, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  for (const i of stepsIn(state, state.phase === 'compensating' ? 'compensating' : 'sent')) sendAgain(draft, i, 'anew');
  return done(draft);
}

/** From here on a retriable step counts as done, or a compensation as through; the effect is what it is. */
export function skip(state: SagaCoordinatorState, i: number, reason: Reason, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  const { txid, steps } = state.spec;
  draft.records.push({ kind: 'SKIP', txid, step: steps[i]!.id, reason, atMs: nowMs });
  if (state.phase === 'compensating') {
    settleBackward(draft, i, 'skipped');
    return backward(draft);
  }
  if (state.steps[i]!.state === 'sent') draft.timers.push({ cancel: timerOf(state.spec, i) });
  change(draft, i, { state: 'skipped' });
  return forward(draft);
}

export function resolve(state: SagaCoordinatorState, reason: Reason, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  for (const i of stepsIn(state, state.phase === 'compensating' ? 'compensating' : 'sent')) draft.timers.push({ cancel: timerOf(state.spec, i) });
  return end(draft, reason);
}

// ---------------------------------------------------------------- messages

/**
 * Sends the message of the present direction to step i and arms its repetition.
 * @param attempt `first` of this direction, its budget starting now; the `next`; `anew`: as the first, in what is left of the budget
 */
function sendAgain(draft: Draft, i: number, attempt: 'first' | 'next' | 'anew'): void {
  const { spec, phase } = draft.state;
  const { id, participant, retry, timeoutMs } = spec.steps[i]!;
  const before = draft.state.steps[i]!;
  const attempts = attempt === 'next' ? before.attempts + 1 : 1;
  const sinceMs = attempt === 'first' ? draft.nowMs : before.sinceMs!;
  change(draft, i, { attempts, sinceMs });
  draft.messages.push({ to: { role: 'participant', name: participant }, message: messageTo(draft.state, i) });
  const repeatMs = draft.nowMs + retryDelayMs(spec.txid, id, attempts - 1, retry);
  const atMs = phase === 'running' ? Math.min(repeatMs, Math.max(sinceMs + timeoutMs, draft.nowMs)) : repeatMs;
  draft.timers.push({ set: timerOf(spec, i), atMs, attempt: attempts - 1 });
}

function messageTo({ spec, phase, steps, reason }: SagaCoordinatorState, i: number): SagaToParticipant {
  const { id, kind, operation, payload } = spec.steps[i]!;
  const about = { protocol: 'saga', txid: spec.txid, branch: i, step: id } as const;
  if (phase === 'compensating') return { ...about, kind: 'COMPENSATE', reason: reason! };
  if (phase === 'cancelling') return { ...about, kind: 'CANCEL_STEP', reason: reason! };
  return { ...about, kind: 'EXECUTE', stepKind: kind, operation, payload, inputs: steps[i]!.inputs! };
}

// ---------------------------------------------------------------- small parts

/** Only what is known changes; nothing is owed for it. */
export function note(state: SagaCoordinatorState, i: number, progress: Partial<SagaProgress>, nowMs: number): SagaCoordinatorStep {
  const draft = draftOf(state, nowMs);
  change(draft, i, progress);
  return done(draft);
}

function failureText(last: Reason | null): string {
  if (last === null) return 'no answer';
  return last.detail === undefined ? last.code : `${last.code}: ${last.detail}`;
}

/** The place of the step that a timer is for; -1: there is no such step. */
export function stepOfTimer({ steps }: SagaSpec, timer: SagaTimer): number {
  return steps.findIndex(({ id }) => timer === `step:${id}`);
}

export function sagaTimeout({ createdAtMs, deadlineMs }: SagaSpec): Reason {
  return { code: SagaReasonCode.SAGA_TIMEOUT, detail: `undecided after ${deadlineMs - createdAtMs} ms` };
}

/** Ends the saga: it may be forgotten once END is durable. */
function end(draft: Draft, resolved: Reason | null): SagaCoordinatorStep {
  const { spec: { txid }, outcome, reason } = draft.state;
  if (outcome === null) throw new Error(`saga ${txid} cannot end undecided`);
  draft.records.push({ kind: 'END', txid, outcome, reason, resolved, steps: reportsOf(draft.state), atMs: draft.nowMs });
  draft.state = { ...draft.state, phase: 'finished', finishedAtMs: draft.nowMs };
  return done(draft);
}

function armDeadline(draft: Draft): void {
  draft.timers.push({ set: 'deadline', atMs: Math.max(draft.state.spec.deadlineMs, draft.nowMs), attempt: 0 });
}

function timerOf({ steps }: SagaSpec, i: number): SagaTimer {
  return `step:${steps[i]!.id}`;
}

function change(draft: Draft, i: number, progress: Partial<SagaProgress>): void {
  const steps = draft.state.steps.slice();
  steps[i] = { ...steps[i]!, ...progress };
  draft.state = { ...draft.state, steps };
}

function blankState(spec: SagaSpec): SagaCoordinatorState {
  return { spec, phase: 'running', steps: blankSteps(spec), outcome: null, reason: null, attention: null, decidedAtMs: null, finishedAtMs: null };
}

function draftOf(state: SagaCoordinatorState, nowMs: number): Draft {
  return { state, nowMs, records: [], messages: [], timers: [] };
}

function done({ state, records, messages, timers }: Draft): SagaCoordinatorStep {
  return { state, ready: { records, messages, timers } };
}
