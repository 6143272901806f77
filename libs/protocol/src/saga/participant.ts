/**
 * One step of a saga at its participant: a barrier in front of two handlers, execute and compensate.
 *
 * What the barrier guarantees, by a row that is written in the same local transaction as the handler's own changes:
 *   1. execute has its effect at most once, and compensate too, however often their messages come.
 *   2. compensate only ever runs after an execute that had an effect.
 *   3. Once the step has been compensated, or cancelled before it executed, execute never has an effect again.
 * EXECUTED, REFUSED, COMPENSATED and CANCELLED only leave once the row that they tell is durable. A participant waits for nothing: it
 * has no timers, holds no locks between messages, and never asks anybody.
 *
 * Failures, one by one. The first three are the problems of TCC and saga participants that the literature of the transaction manager
 * DTM calls idempotence, empty compensation and hanging:
 *   - a message comes twice: answered from the row. Handlers do not run.
 *   - COMPENSATE comes and nothing was executed (EXECUTE was lost, or is still under way): a tombstone is written and COMPENSATED
 *     answered; the handler does not run, since there is nothing to undo.
 *   - EXECUTE comes after that (the compensation overtook its action): refused with COMPENSATED_BEFORE_EXECUTE, without an effect.
 *     Otherwise the effect would stay for good: nobody would come to undo it.
 *   - a crash while a handler runs: its local transaction rolls back, nothing was answered, the message comes again.
 *   - a crash after the row is durable, before the answer leaves: the repeated message is answered from the row.
 *   - the handler says NO: the row says so for good (compensatable step, pivot). A retriable step cannot refuse: its NO is FAILED, without
 *     a row, and it is asked again; neither can a compensation.
 *   - the handler fails transiently: FAILED without a row.
 *   - CANCEL_STEP races EXECUTE of the pivot: whichever writes the row first wins, and both are answered with what the row says.
 *   - the row has been cleaned up (`rowsKeptMs`): a missing row proves nothing then, and nothing is run or answered.
 *   - COMPENSATE of anything but a compensatable step, CANCEL_STEP of anything but a pivot: an UnexpectedInputError.
 *
 * Sources: Garcia-Molina and Salem, Sagas, SIGMOD 1987, section 1 (a compensation undoes in business terms) and 6 (it may fail: again).
 * Empty compensation, hanging and idempotence, and a barrier table as their remedy: the documentation of DTM (dtm.pub), "Exceptions and
 * sub-transaction barriers", and of Seata's TCC fence.
 */
import { UnexpectedInputError } from '../machine.js';
import { ReasonCode, type Envelope, type Json, type Reason } from '../messages.js';
import { createdAtOf } from '../txid.js';
import type { SagaParticipantIgnore } from './ignores.js';
import type { SagaCancelStep, SagaCompensate, SagaExecute, SagaToCoordinator, SagaToParticipant } from './messages.js';
import {
  SagaReasonCode,
  type SagaHandlerAnswer, type SagaParticipantConfig, type SagaParticipantInput, type SagaParticipantState, type SagaParticipantStep, type SagaRow,
  type SagaRowState,
} from './types.js';

interface Context {
  readonly nowMs: number;
  readonly config: SagaParticipantConfig;
}

/**
 * One step of the barrier. Pure: same arguments, same result; nothing is mutated. When `ready.run` is set, the handler runs next and
 * EXECUTED is the only input that may follow.
 * @param state `{ phase: 'none' }` when there is no row, `{ phase: 'stored', row }` when there is one
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepSagaParticipant(state: SagaParticipantState, input: SagaParticipantInput, nowMs: number, config: SagaParticipantConfig): SagaParticipantStep {
  const context = { nowMs, config };
  if (state.phase === 'running') return input.kind === 'EXECUTED' ? answered(state, input.answer, context) : refuse(state, input);
  return input.kind === 'MESSAGE' ? receive(state, input.message, context) : refuse(state, input);
}

// ---------------------------------------------------------------- the rules, one per (message, state of the row)

type None = Extract<SagaParticipantState, { phase: 'none' }>;
type Stored = Extract<SagaParticipantState, { phase: 'stored' }>;
type Idle = None | Stored;
type Running = Extract<SagaParticipantState, { phase: 'running' }>;

type Rule<State, Input> = (state: State, input: Input, context: Context) => SagaParticipantStep;
/** `forgotten`: no row, but the transaction is so old that there may have been one. */
type RulesFor<Input> = { readonly [S in 'none' | 'forgotten']: Rule<None, Input> } & { readonly [S in SagaRowState]: Rule<Stored, Input> };
type MessageRules = { readonly [K in SagaToParticipant['kind']]: RulesFor<Extract<SagaToParticipant, { kind: K }>> };

const OVERTAKEN: Reason = { code: SagaReasonCode.COMPENSATED_BEFORE_EXECUTE, detail: 'a COMPENSATE or CANCEL_STEP came before this EXECUTE' };

const MESSAGES: MessageRules = {
  EXECUTE: {
    none: (_state, message) => runExecute(message), forgotten: ignore('too-old-to-tell'),
    executed: tellExecuted, refused: tellRefused,
    compensated: ({ row }) => stored(row, refusalOf(row, { code: SagaReasonCode.ALREADY_COMPENSATED })),
    cancelled: ({ row }) => stored(row, refusalOf(row, OVERTAKEN)),
  },
  COMPENSATE: {
    none: (_state, message, context) => recordTombstone(message, context), forgotten: ignore('too-old-to-tell'),
    executed: ({ row }) => runCompensate(row), refused: tellCompensated, compensated: tellCompensated, cancelled: tellCompensated,
  },
  CANCEL_STEP: {
    none: (_state, message, context) => recordTombstone(message, context), forgotten: ignore('too-old-to-tell'),
    executed: tellExecuted, refused: tellRefused, compensated: refuse, cancelled: ({ row }) => stored(row, { ...about(row), kind: 'CANCELLED' }),
  },
};

// ---------------------------------------------------------------- handlers

function runExecute(trigger: SagaExecute): SagaParticipantStep {
  const { operation, payload, inputs } = trigger;
  return {
    state: { phase: 'running', action: 'execute', trigger },
    ready: { records: [], messages: [], timers: [], run: { action: 'execute', operation, payload, inputs, result: null } },
  };
}

function runCompensate(row: SagaRow): SagaParticipantStep {
  const { operation, payload, result } = row;
  return {
    state: { phase: 'running', action: 'compensate', row },
    ready: { records: [], messages: [], timers: [], run: { action: 'compensate', operation, payload, inputs: {}, result } },
  };
}

function answered(state: Running, answer: SagaHandlerAnswer, context: Context): SagaParticipantStep {
  return state.action === 'execute' ? executeAnswered(state.trigger, answer, context) : compensateAnswered(state.row, answer, context);
}

function executeAnswered(trigger: SagaExecute, answer: SagaHandlerAnswer, context: Context): SagaParticipantStep {
  if (answer.said === 'done') return record(executedRow(trigger, answer.result ?? null, context), 'EXECUTED');
  const reason = answer.reason ?? { code: answer.said === 'no' ? ReasonCode.REFUSED : ReasonCode.HANDLER_FAILED };
  if (answer.said === 'no' && trigger.stepKind !== 'retriable') return record(refusedRow(trigger, reason, context), 'REFUSED');
  const failed = toCoordinator({ ...about(trigger), kind: 'FAILED', action: 'execute', reason });
  return { state: { phase: 'none' }, ready: { records: [], messages: [failed], timers: [] } };
}

function compensateAnswered(row: SagaRow, answer: SagaHandlerAnswer, { nowMs }: Context): SagaParticipantStep {
  if (answer.said === 'done') return record({ ...row, state: 'compensated', updatedAtMs: nowMs }, 'COMPENSATED');
  return stored(row, { ...about(row), kind: 'FAILED', action: 'compensate', reason: answer.reason ?? { code: ReasonCode.HANDLER_FAILED } });
}

// ---------------------------------------------------------------- rows

function executedRow(trigger: SagaExecute, result: Json | null, context: Context): SagaRow {
  return { ...rowOf(trigger, context), state: 'executed', reason: null, result };
}

function refusedRow(trigger: SagaExecute, reason: Reason, context: Context): SagaRow {
  return { ...rowOf(trigger, context), state: 'refused', reason, result: null };
}

function rowOf({ txid, branch, step, stepKind, operation, payload }: SagaExecute, { nowMs }: Context) {
  return { txid, branch, step, stepKind, operation, payload, updatedAtMs: nowMs };
}

/** Nothing was executed, and from here on nothing will be. */
function recordTombstone(message: SagaCompensate | SagaCancelStep, { nowMs }: Context): SagaParticipantStep {
  const { txid, branch, step, reason } = message;
  const pivot = message.kind === 'CANCEL_STEP';
  const row: SagaRow = {
    txid, branch, step, stepKind: pivot ? 'pivot' : 'compensatable', state: 'cancelled', operation: '', payload: null, reason, result: null, updatedAtMs: nowMs,
  };
  return record(row, pivot ? 'CANCELLED' : 'COMPENSATED');
}

// ---------------------------------------------------------------- answers

/** Writes the row and tells what it says. */
function record(row: SagaRow, as: 'EXECUTED' | 'REFUSED' | 'COMPENSATED' | 'CANCELLED'): SagaParticipantStep {
  const message: SagaToCoordinator = as === 'EXECUTED' ? executionOf(row) : as === 'REFUSED' ? refusalOf(row) : { ...about(row), kind: as };
  return { state: { phase: 'stored', row }, ready: { records: [{ kind: 'STEP', row }], messages: [toCoordinator(message)], timers: [] } };
}

function tellExecuted({ row }: Stored): SagaParticipantStep {
  return stored(row, executionOf(row));
}

function tellRefused({ row }: Stored): SagaParticipantStep {
  return stored(row, refusalOf(row));
}

function tellCompensated({ row }: Stored): SagaParticipantStep {
  return stored(row, { ...about(row), kind: 'COMPENSATED' });
}

function executionOf(row: SagaRow): SagaToCoordinator {
  return { ...about(row), kind: 'EXECUTED', result: row.result };
}

function refusalOf(row: SagaRow, reason: Reason = row.reason ?? { code: ReasonCode.REFUSED }): SagaToCoordinator {
  return { ...about(row), kind: 'REFUSED', reason };
}

function about({ txid, branch, step }: Pick<SagaRow, 'txid' | 'branch' | 'step'>) {
  return { protocol: 'saga', txid, branch, step } as const;
}

function toCoordinator(message: SagaToCoordinator): Envelope<SagaToCoordinator> {
  return { to: { role: 'coordinator' }, message };
}

/** An answer from the row: nothing is written. */
function stored(row: SagaRow, message: SagaToCoordinator): SagaParticipantStep {
  return { state: { phase: 'stored', row }, ready: { records: [], messages: [toCoordinator(message)], timers: [] } };
}

// ---------------------------------------------------------------- dispatch

/** The table's type pairs every kind with the rules for just that kind, which TypeScript cannot follow through an index. */
function receive(state: Idle, message: SagaToParticipant, context: Context): SagaParticipantStep {
  const rules = MESSAGES[message.kind] as RulesFor<SagaToParticipant>;
  if (state.phase === 'none') return rules[mayBeForgotten(message, context) ? 'forgotten' : 'none'](state, message, context);
  checkAddress(state, message);
  return rules[state.row.state](state, message, context);
}

/** A message for another step, or not meant for this kind of step, is a defect of its sender. */
function checkAddress(state: Stored, message: SagaToParticipant): void {
  const { txid, branch, step, stepKind } = state.row;
  const same = message.txid === txid && message.branch === branch && message.step === step;
  if (!same) throw unexpected(state, `${message.kind} of another step (${message.txid}/${message.step})`);
  const kind = message.kind === 'EXECUTE' ? message.stepKind : message.kind === 'COMPENSATE' ? 'compensatable' : 'pivot';
  if (kind !== stepKind) throw unexpected(state, `${message.kind} as of a ${kind} step`);
}

function mayBeForgotten(message: SagaToParticipant, { nowMs, config }: Context): boolean {
  return config.rowsKeptMs !== undefined && nowMs - createdAtOf(message.txid) >= config.rowsKeptMs;
}

function ignore(rule: SagaParticipantIgnore): Rule<Idle, unknown> {
  return (state) => ({ state, ready: { records: [], messages: [], timers: [] }, ignored: rule });
}

function refuse(state: SagaParticipantState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: SagaParticipantState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('saga participant', describe(state), input);
}

function describe(state: SagaParticipantState): string {
  if (state.phase === 'none') return 'none';
  if (state.phase === 'stored') return `${state.row.state} (${state.row.txid}/${state.row.step})`;
  const { txid, step } = state.action === 'execute' ? state.trigger : state.row;
  return `running ${state.action} (${txid}/${step})`;
}
