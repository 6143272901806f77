/**
 * The coordinator of a saga.
 *
 * A saga is a set of steps, each a local transaction of its participant, in the order of a directed acyclic graph. It has no
 * isolation: every step commits on its own and others see it. What it guarantees is that it ends in one of two ways:
 *   - completed: the decision register of its txid holds COMMIT; every step has had its effect exactly once.
 *   - compensated: the register holds ABORT; no step has an effect left. Every compensatable step that may have executed has been
 *     compensated, each only after all steps that depend on it, or is known never to execute.
 * (Steps that an operator skipped, or that were outstanding when one resolved the saga, are exempt: that is what a record says then.)
 * COMMIT is proposed to the register only when the pivot has executed or, in a saga without one, every compensatable step; retriable
 * steps are sent only once the register holds COMMIT. ABORT is proposed only when no pivot has executed or ever will: it was not sent,
 * it has refused, or its participant has promised to refuse it (CANCEL_STEP). So the pivot's row and the register never disagree. The
 * machine acts on what the register holds, never on what it proposed.
 *
 * Failures, one by one:
 *   - crash before BEGIN is durable: no EXECUTE has left, so the saga never was.
 *   - crash while undecided: RECOVER goes on forward. SENT is durable before the first EXECUTE of a step leaves, so the new owner knows
 *     every step that may have executed, and sends those again whose result no record holds; participants answer from their rows.
 *     Once the deadline has passed it aborts instead. Why its predecessor was cancelling is in no record: a client's cancel that waited
 *     for the pivot is forgotten, and so are the step's budgets.
 *   - crash after DECIDE: RECOVER reads the register and goes on in that direction. COMPENSATE is repeated from the last step again;
 *     rows make that harmless.
 *   - crash after END: nothing is owed to anybody. Participants are never in doubt: they have nothing to ask.
 *   - a step refuses, uses up its attempts or its time, the saga's deadline passes, the client cancels: ABORT, and back.
 *   - the same, but the pivot was sent and has not answered: CANCEL_STEP until its participant says CANCELLED or REFUSED (then ABORT)
 *     or EXECUTED (then COMMIT: the pivot's row decides).
 *   - an answer is lost: EXECUTE, COMPENSATE and CANCEL_STEP are repeated with exponential backoff and jitter.
 *   - an EXECUTE is still under way when its step is compensated: COMPENSATE leaves a tombstone, and the EXECUTE is refused.
 *   - a compensation or a retriable step fails again and again: it is repeated for ever; the saga needs attention (a record, once), and
 *     an operator may send it again at once, skip it with a reason, or resolve the saga. It ends without them when the step succeeds.
 *   - two owners of one saga, one of which does not know that it was replaced: the register holds what came first. A replaced owner
 *     can neither send a new step nor propose ABORT (SENT and ABORT are fenced by tenure), because it cannot know which steps its
 *     successor has sent: it would compensate a step while one that depends on it takes effect, or abort although the pivot executes.
 *     COMMIT follows from what has happened and needs no such knowledge; whoever sees it first may propose it.
 *
 * Sources: Garcia-Molina and Salem, Sagas, SIGMOD 1987: section 1 (the guarantee: all of T1..Tn, or T1..Tj Cj..C1), 4 (backward
 * recovery), 5 (forward recovery), 6 (compensations that fail: an operator), 8 (parallel sagas). Compensatable, pivot and retriable steps: Mehrotra,
 * Rastogi, Silberschatz, Korth, A Transaction Model for Multidatabase Systems, ICDCS 1992; Zhang, Nodine, Bhargava, Bukhres, Ensuring
 * Relaxed Atomicity for Flexible Transactions in Multidatabase Systems, SIGMOD 1994. The write-once register: Gray and Lamport,
 * Consensus on Transaction Commit, TODS 31(1) 2006, section 3, seen from one side: the first write is the decision.
 */
import { NOTHING_OWED, UnexpectedInputError } from '../machine.js';
import { ReasonCode } from '../messages.js';
import type { Reason } from '../messages.js';
import {
  giveUp, note, obey, recover, repeat, resolve, retryNow, retryOrGiveUp, sagaTimeout, settleCompensated, settleExecuted, settleRefused, skip, start,
  stepOfTimer,
} from './coordinator-effects.js';
import { checkSaga } from './definition.js';
import type { SagaCoordinatorIgnore } from './ignores.js';
import type { SagaExecuted, SagaFailed, SagaToCoordinator } from './messages.js';
import { needsCompensation } from './progress.js';
import type { SagaCoordinatorInput, SagaCoordinatorState, SagaCoordinatorStep, SagaPhase, SagaRegister, SagaStepReport } from './types.js';

/**
 * One step of the coordinator. Pure: same arguments, same result; nothing is mutated.
 * @param state null before START or RECOVER
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepSagaCoordinator(state: SagaCoordinatorState | null, input: SagaCoordinatorInput, nowMs: number): SagaCoordinatorStep {
  if (state === null) return create(input, nowMs);
  switch (input.kind) {
    case 'MESSAGE':
      return receive(state, input.message, nowMs);
    case 'TIMER':
      return fire(state, input, nowMs);
    case 'START':
    case 'RECOVER':
      throw unexpected(state, input.kind);
    default:
      return dispatch(COMMANDS, state, input, nowMs);
  }
}

// ---------------------------------------------------------------- the rules, one per (input, phase)

type Rule<Input> = (state: SagaCoordinatorState, input: Input, nowMs: number) => SagaCoordinatorStep;
type RulesFor<Input> = { readonly [P in SagaPhase]: Rule<Input> };
type Table<Input extends { readonly kind: string }> = { readonly [K in Input['kind']]: RulesFor<Extract<Input, { kind: K }>> };

type TimerInput = Extract<SagaCoordinatorInput, { kind: 'TIMER' }>;
type StepTimer = TimerInput & { readonly branch: number };
type Command = Exclude<SagaCoordinatorInput, { kind: 'MESSAGE' | 'TIMER' | 'START' | 'RECOVER' }>;
type Registered = Extract<SagaCoordinatorInput, { kind: 'REGISTERED' }>;
type SkipStep = Extract<SagaCoordinatorInput, { kind: 'SKIP_STEP' }>;

const MESSAGES: Table<SagaToCoordinator> = {
  EXECUTED: {
    running: whenSent(executed), cancelling: whenSent(executed), deciding: whenSent(noteExecuted), completing: whenSent(executed),
    compensating: ignore('late-answer'), finished: ignore('late-answer'),
  },
  REFUSED: {
    running: refused, cancelling: refused, deciding: refused, completing: refuse, compensating: ignore('late-answer'), finished: ignore('late-answer'),
  },
  FAILED: {
    running: failed, cancelling: failed, deciding: failed, completing: failed, compensating: failedBackward, finished: ignore('late-answer'),
  },
  COMPENSATED: {
    running: ignore('another-owners-compensation'), cancelling: ignore('another-owners-compensation'), deciding: ignore('another-owners-compensation'),
    completing: refuse, compensating: compensated, finished: unlessCompleted('settled-answer'),
  },
  CANCELLED: {
    running: whenSent(cancelled), cancelling: whenSent(cancelled), deciding: whenSent(cancelled), completing: refuse,
    compensating: ignore('late-answer'), finished: unlessCompleted('late-answer'),
  },
};

const DEADLINE: RulesFor<TimerInput> = {
  running: (state, _timer, nowMs) => giveUp(state, sagaTimeout(state.spec), nowMs),
  cancelling: ignore('late-timer'), deciding: ignore('late-timer'), completing: ignore('late-timer'), compensating: ignore('late-timer'),
  finished: ignore('late-timer'),
};

/** Of the step whose message is outstanding; all others have been cancelled. */
const STEP_TIMER: RulesFor<StepTimer> = {
  running: (state, { branch }, nowMs) => (state.steps[branch]!.state === 'sent' ? retryOrGiveUp(state, branch, nowMs) : dropped(state, 'late-timer')),
  cancelling: repeatIf('sent'), deciding: ignore('late-timer'), completing: repeatIf('sent'), compensating: repeatIf('compensating'),
  finished: ignore('late-timer'),
};

const COMMANDS: Table<Command> = {
  REGISTERED: {
    running: refuse, cancelling: refuse, deciding: registered, completing: repeatedRegister, compensating: repeatedRegister, finished: repeatedRegister,
  },
  CANCEL: {
    running: (state, cancel, nowMs) => giveUp(state, cancel.reason, nowMs),
    cancelling: ignore('late-cancel'), deciding: ignore('late-cancel'), completing: ignore('late-cancel'), compensating: ignore('late-cancel'),
    finished: ignore('late-cancel'),
  },
  RETRY_NOW: {
    running: (state, _retry, nowMs) => retryNow(state, nowMs), cancelling: (state, _retry, nowMs) => retryNow(state, nowMs),
    deciding: ignore('nothing-to-retry'),
    completing: (state, _retry, nowMs) => retryNow(state, nowMs), compensating: (state, _retry, nowMs) => retryNow(state, nowMs),
    finished: ignore('already-finished'),
  },
  SKIP_STEP: {
    running: ignore('skip-before-decision'), cancelling: ignore('skip-before-decision'), deciding: ignore('skip-before-decision'),
    completing: skipForward, compensating: skipBackward, finished: ignore('already-finished'),
  },
  RESOLVE: {
    running: ignore('resolve-before-decision'), cancelling: ignore('resolve-before-decision'), deciding: ignore('resolve-before-decision'),
    completing: (state, { reason }, nowMs) => resolve(state, reason, nowMs), compensating: (state, { reason }, nowMs) => resolve(state, reason, nowMs),
    finished: ignore('already-finished'),
  },
};

// ---------------------------------------------------------------- creation

function create(input: SagaCoordinatorInput, nowMs: number): SagaCoordinatorStep {
  if (input.kind === 'RECOVER') {
    if (input.register && contradicts(input.register, [])) throw new UnexpectedInputError('saga coordinator', 'none', 'RECOVER with COMMIT in spite of a refusal');
    return recover(input, nowMs);
  }
  if (input.kind !== 'START') throw new UnexpectedInputError('saga coordinator', 'none', input.kind);
  const [problem] = checkSaga(input.spec);
  if (problem) throw new UnexpectedInputError('saga coordinator', 'none', `START of an invalid saga: ${problem.path}: ${problem.message} (${problem.code})`);
  return start(input.spec, nowMs);
}

// ---------------------------------------------------------------- forward

/**
 * The rule for answers about a step that is `sent`. In other states: a step that is waiting here was sent by the owner that has
 * replaced this one; any other is settled.
 */
function whenSent<Message extends { readonly branch: number }>(rule: Rule<Message>): Rule<Message> {
  return (state, message, nowMs) => {
    const of = state.steps[message.branch]!.state;
    if (of === 'sent') return rule(state, message, nowMs);
    return dropped(state, of === 'waiting' ? 'another-owners-step' : 'settled-answer');
  };
}

function executed(state: SagaCoordinatorState, { branch, result }: SagaExecuted, nowMs: number): SagaCoordinatorStep {
  return settleExecuted(state, branch, result, nowMs);
}

function noteExecuted(state: SagaCoordinatorState, { branch, result }: SagaExecuted, nowMs: number): SagaCoordinatorStep {
  return note(state, branch, { state: 'done', result, reason: null }, nowMs);
}

function refused(state: SagaCoordinatorState, { branch, reason }: Extract<SagaToCoordinator, { kind: 'REFUSED' }>, nowMs: number): SagaCoordinatorStep {
  const { kind, participant } = state.spec.steps[branch]!;
  const of = state.steps[branch]!.state;
  if (of === 'waiting') return dropped(state, 'another-owners-step');
  if (kind === 'retriable') throw unexpected(state, 'REFUSED of a retriable step');
  if (of === 'done') return dropped(state, 'compensated-meanwhile');
  return of === 'sent' ? settleRefused(state, branch, { ...reason, participant }, nowMs) : dropped(state, 'settled-answer');
}

/** Somebody asked for it: this owner, or another one of the same saga. */
function cancelled(state: SagaCoordinatorState, { branch }: { readonly branch: number }, nowMs: number): SagaCoordinatorStep {
  const { participant, id } = state.spec.steps[branch]!;
  const reason: Reason = { code: ReasonCode.CANCELLED, participant, detail: `step ${id} was cancelled before it executed` };
  return settleRefused(state, branch, reason, nowMs);
}

/** Nobody compensates or cancels anything in a saga whose register holds COMMIT. */
function unlessCompleted(rule: SagaCoordinatorIgnore): Rule<{ readonly kind: string }> {
  return (state, message) => (state.outcome === 'completed' ? refuse(state, message) : dropped(state, rule));
}

/** Only noted: the step's timer repeats it or gives it up. */
function failed(state: SagaCoordinatorState, message: SagaFailed, nowMs: number): SagaCoordinatorStep {
  if (message.action === 'execute') return whenSent(noteFailure)(state, message, nowMs);
  return state.phase === 'completing' ? refuse(state, message) : dropped(state, 'another-owners-compensation');
}

function noteFailure(state: SagaCoordinatorState, { branch, reason }: SagaFailed, nowMs: number): SagaCoordinatorStep {
  return note(state, branch, { reason: { ...reason, participant: state.spec.steps[branch]!.participant } }, nowMs);
}

// ---------------------------------------------------------------- the decision

function registered(state: SagaCoordinatorState, register: Registered, nowMs: number): SagaCoordinatorStep {
  if (contradicts(register, state.steps)) throw unexpected(state, 'REGISTERED COMMIT in spite of a refusal');
  return obey(state, register, nowMs);
}

/** COMMIT rests on steps that cannot have refused. */
function contradicts(register: SagaRegister, known: readonly SagaStepReport[]): boolean {
  return register.decision === 'COMMIT' && [...register.steps, ...known].some(({ state }) => state === 'refused');
}

function repeatedRegister(state: SagaCoordinatorState, { decision }: Registered): SagaCoordinatorStep {
  const held = state.outcome === 'completed' ? 'COMMIT' : 'ABORT';
  if (held !== decision) throw unexpected(state, `REGISTERED ${decision} after ${held}`);
  return dropped(state, 'repeated-register');
}

// ---------------------------------------------------------------- backward

/** Whoever asked for it: the row is durable. */
function compensated(state: SagaCoordinatorState, { branch }: { readonly branch: number }, nowMs: number): SagaCoordinatorStep {
  return needsCompensation(state, branch) ? settleCompensated(state, branch, nowMs) : dropped(state, 'settled-answer');
}

function failedBackward(state: SagaCoordinatorState, message: SagaFailed, nowMs: number): SagaCoordinatorStep {
  if (message.action === 'execute') return dropped(state, 'late-answer');
  return state.steps[message.branch]!.state === 'compensating' ? noteFailure(state, message, nowMs) : dropped(state, 'settled-answer');
}

// ---------------------------------------------------------------- timers and operators

function fire(state: SagaCoordinatorState, input: TimerInput, nowMs: number): SagaCoordinatorStep {
  if (input.timer === 'deadline') return DEADLINE[state.phase](state, input, nowMs);
  const branch = stepOfTimer(state.spec, input.timer);
  if (branch < 0) throw unexpected(state, `TIMER ${input.timer}`);
  return STEP_TIMER[state.phase](state, { ...input, branch }, nowMs);
}

function repeatIf(outstanding: 'sent' | 'compensating'): Rule<StepTimer> {
  return (state, { branch }, nowMs) => (state.steps[branch]!.state === outstanding ? repeat(state, branch, nowMs) : dropped(state, 'late-timer'));
}

function skipForward(state: SagaCoordinatorState, { step, reason }: SkipStep, nowMs: number): SagaCoordinatorStep {
  const i = placeOf(state, step);
  const of = state.steps[i]!.state;
  const outstanding = state.spec.steps[i]!.kind === 'retriable' && of !== 'done' && of !== 'skipped';
  return outstanding ? skip(state, i, reason, nowMs) : dropped(state, 'nothing-to-skip');
}

function skipBackward(state: SagaCoordinatorState, { step, reason }: SkipStep, nowMs: number): SagaCoordinatorStep {
  const i = placeOf(state, step);
  return needsCompensation(state, i) ? skip(state, i, reason, nowMs) : dropped(state, 'nothing-to-skip');
}

function placeOf(state: SagaCoordinatorState, step: string): number {
  const i = state.spec.steps.findIndex(({ id }) => id === step);
  if (i < 0) throw unexpected(state, `SKIP_STEP of an unknown step ${step}`);
  return i;
}

// ---------------------------------------------------------------- dispatch

function receive(state: SagaCoordinatorState, message: SagaToCoordinator, nowMs: number): SagaCoordinatorStep {
  if (message.txid !== state.spec.txid) throw unexpected(state, `${message.kind} of another transaction`);
  const of = state.spec.steps[message.branch];
  if (of?.id !== message.step) throw unexpected(state, `${message.kind} of step ${message.branch} (${message.step})`);
  const compensation = message.kind === 'COMPENSATED' || (message.kind === 'FAILED' && message.action === 'compensate');
  if (compensation && of.kind !== 'compensatable') throw unexpected(state, `${message.kind} of a ${of.kind} step`);
  if (message.kind === 'CANCELLED' && of.kind !== 'pivot') throw unexpected(state, `CANCELLED of a ${of.kind} step`);
  return dispatch(MESSAGES, state, message, nowMs);
}

/** The table's type pairs every kind with the rule for just that kind, which TypeScript cannot follow through an index. */
function dispatch<Input extends { readonly kind: string }>(table: Table<Input>, state: SagaCoordinatorState, input: Input, nowMs: number): SagaCoordinatorStep {
  const rules = table[input.kind as Input['kind']] as RulesFor<Input>;
  return rules[state.phase](state, input, nowMs);
}

function ignore(rule: SagaCoordinatorIgnore): Rule<unknown> {
  return (state) => dropped(state, rule);
}

function dropped(state: SagaCoordinatorState, rule: SagaCoordinatorIgnore): SagaCoordinatorStep {
  return { state, ready: NOTHING_OWED, ignored: rule };
}

function refuse(state: SagaCoordinatorState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: SagaCoordinatorState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('saga coordinator', `${state.phase} (${state.spec.txid})`, input);
}
