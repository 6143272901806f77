/** A saga as a system: the coordinator (whose register every owner shares) and one role per step, each at a participant of its own. */
import {
  isFencedSagaRecord, stepSagaCoordinator, stepSagaParticipant,
  type OutcomeStatus, type SagaAttention, type SagaCoordinatorInput, type SagaCoordinatorState, type SagaHandlerAnswer, type SagaMessage, type SagaOutcome,
  type SagaParticipantInput, type SagaParticipantState, type SagaRecord, type SagaRegister, type SagaRow, type SagaRun, type SagaSent, type SagaSpec,
  type SagaStepKind, type SagaToCoordinator, type SagaToParticipant, type Txid,
} from '#libs/protocol';
import { sagaViolation, type SagaFacts } from '../saga-properties.js';
import { role, type Message, type Role, type RoleStep, type Sent, type Surroundings, type System, type View, type Written } from '../system.js';

export interface SagaStepPlan {
  readonly kind: SagaStepKind;
  /** What the execute handler says as long as there is stock. A retriable step that says `no` never succeeds. */
  readonly vote: 'yes' | 'no';
  /** Places of earlier steps; absent: the step before. */
  readonly after?: readonly number[];
  /** How often execute, and then compensate, fails before it does what it does. A crash starts the count again. */
  readonly transientFailures?: number;
}

/** Step i has the id `s<i>` and is executed by participant `p<i>`. */
export interface SagaTransaction {
  readonly txid: Txid;
  readonly steps: readonly SagaStepPlan[];
  readonly createdAtMs: number;
  readonly timeoutMs: number;
  /** The step that the operator's SKIP_STEP is about; absent: the last. */
  readonly skip?: number;
}

export interface SagaMachines {
  readonly coordinator: typeof stepSagaCoordinator;
  readonly participant: typeof stepSagaParticipant;
  /** Which records the store refuses from an owner that was replaced. */
  readonly isFenced: typeof isFencedSagaRecord;
}

export const SAGA_MACHINES: SagaMachines = { coordinator: stepSagaCoordinator, participant: stepSagaParticipant, isFenced: isFencedSagaRecord };

const RETRY = { maxAttempts: 6, firstMs: 200, maxMs: 2000 };
const STEP_TIMEOUT_MS = 8000;
const COMPENSATION_TIMEOUT_MS = 10_000;
const ATTENTION_AFTER_ATTEMPTS = 5;

/** @param machines a broken variant, for tests of the checkers */
export function saga(transaction: SagaTransaction, machines: SagaMachines = SAGA_MACHINES): System {
  const { txid, steps: plans } = transaction;
  const spec = specOf(transaction);
  const ancestors = ancestorsOf(plans);
  const central = (view: View): CoordinatorRows => (view.durables[0] as CoordinatorRows | null) ?? NOTHING;
  const factsOf = (view: View): SagaFacts => {
    const { register, ended, skipped } = central(view);
    return {
      register: register?.decision ?? null, ended: ended?.outcome ?? null, resolved: ended?.resolved ?? false, answers: view.answers,
      steps: plans.map(({ kind }, i) => {
        const { row, applied, executions, compensations } = (view.durables[i + 1] as StepRows | null) ?? NO_ROWS;
        return { kind, ancestors: ancestors[i]!, row: row?.state ?? null, applied, executions, compensations, skipped: skipped.includes(`s${i}`) };
      }),
    };
  };
  return {
    protocol: 'saga', txid, nonBlocking: false,
    roles: [role(coordinatorRole(machines)), ...plans.map((plan, i) => role(participantRole(i, plan, machines)))],
    start: { role: 'coordinator', input: { kind: 'START', spec } satisfies SagaCoordinatorInput },
    commands: commandsFor(transaction),
    expected: plans.some(({ kind, vote }) => kind !== 'retriable' && vote === 'no') ? 'aborted' : 'committed',
    describe: (message) => describe(message as unknown as SagaMessage),
    violation: (view) => sagaViolation(factsOf(view)),
    ended(view, sites) {
      const { begun, ended } = central(view);
      return begun === null || ended !== null || !sites.has('coordinator');
    },
    leftover(view) {
      const facts = factsOf(view);
      const unbegun = central(view).begun === null && facts.steps.some(({ applied }) => applied !== 0);
      return unbegun ? 'EFFECTS: a step has an effect, and the saga never was' : sagaViolation(facts);
    },
  };
}

function specOf({ txid, steps, createdAtMs, timeoutMs }: SagaTransaction): SagaSpec {
  return {
    txid, protocol: 'saga', createdAtMs, deadlineMs: createdAtMs + timeoutMs, compensationTimeoutMs: COMPENSATION_TIMEOUT_MS,
    attentionAfterAttempts: ATTENTION_AFTER_ATTEMPTS, waitFor: 'decided',
    steps: steps.map(({ kind, after }, i) => ({
      id: `s${i}`, participant: `p${i}`, operation: 'work', payload: null, kind, ...(after && { after: after.map((j) => `s${j}`) }),
      timeoutMs: STEP_TIMEOUT_MS, retry: RETRY,
    })),
  };
}

function commandsFor({ steps, skip = steps.length - 1 }: SagaTransaction): readonly SagaCoordinatorInput[] {
  return [
    { kind: 'CANCEL', reason: { code: 'CANCELLED' } }, { kind: 'RETRY_NOW' }, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } },
    { kind: 'SKIP_STEP', step: `s${skip}`, reason: { code: 'SKIPPED_BY_OPERATOR' } },
  ];
}

/** Plans only name earlier steps, so one pass is enough. The pivot comes after every compensatable step in any case. */
function ancestorsOf(plans: readonly SagaStepPlan[]): readonly (readonly number[])[] {
  const all: number[][] = [];
  for (const [i, { kind, after = i === 0 ? [] : [i - 1] }] of plans.entries()) {
    const implied = kind === 'pivot' ? plans.flatMap((other, j) => (other.kind === 'compensatable' ? [j] : [])) : [];
    all.push([...new Set([...after.flatMap((j) => [j, ...all[j]!]), ...implied])]);
  }
  return all;
}

function outcomeOf(outcome: SagaOutcome): OutcomeStatus {
  return outcome === 'completed' ? 'committed' : 'aborted';
}

// ---------------------------------------------------------------- coordinator

/** The coordinator's tables. Records are fenced as the machines say; the register is write-once for everyone. */
interface CoordinatorRows {
  readonly begun: SagaSpec | null;
  readonly sent: readonly SagaSent[];
  readonly skipped: readonly string[];
  readonly attention: SagaAttention | null;
  readonly register: SagaRegister | null;
  readonly ended: { readonly outcome: SagaOutcome; readonly resolved: boolean } | null;
}

const NOTHING: CoordinatorRows = { begun: null, sent: [], skipped: [], attention: null, register: null, ended: null };

function coordinatorRole(machines: SagaMachines): Role<SagaCoordinatorState, SagaCoordinatorInput, SagaRecord, CoordinatorRows> {
  return {
    name: 'coordinator',
    site: 'coordinator',
    boot(rows) {
      if (rows === null || rows.begun === null || rows.ended !== null) return { state: null, input: null };
      const { begun: spec, sent, skipped, attention, register } = rows;
      return { state: null, input: { kind: 'RECOVER', spec, sent, skipped, attention, register } };
    },
    step(state, input, { nowMs }) {
      // Nothing is owed about a saga that is not in memory: it has ended, or another process owns it.
      if (state === null && input.kind !== 'START' && input.kind !== 'RECOVER') return { state, records: [], messages: [], timers: [] };
      const { state: next, ready } = machines.coordinator(state, input, nowMs);
      return { state: next, records: ready.records, timers: ready.timers, messages: ready.messages.map(({ message }) => toStep(message)) };
    },
    write(rows, record, fenced): Written<CoordinatorRows, SagaCoordinatorInput> {
      const before = rows ?? NOTHING;
      if (fenced && machines.isFenced(record)) return 'refused';
      switch (record.kind) {
        case 'BEGIN':
          return before.begun !== null ? 'refused' : { durable: { ...before, begun: record.spec } };
        case 'SENT':
          return { durable: { ...before, sent: [...before.sent, { step: record.step, inputs: record.inputs }] } };
        case 'DECIDE': {
          const { decision, reason, steps, atMs } = record;
          const register = before.register ?? { decision, reason, steps, atMs };
          return { durable: { ...before, register }, input: { kind: 'REGISTERED', ...register } };
        }
        case 'ATTENTION':
          return { durable: { ...before, attention: { step: record.step, why: record.why, atMs: record.atMs } } };
        case 'SKIP':
          return { durable: { ...before, skipped: [...before.skipped, record.step] } };
        case 'END':
          return { durable: { ...before, ended: { outcome: record.outcome, resolved: record.resolved !== null } } };
      }
    },
    answer: (state) => (state?.outcome ? outcomeOf(state.outcome) : null),
    read: (rows) => (rows?.register ? (rows.register.decision === 'COMMIT' ? 'committed' : 'aborted') : null),
    label: (state) => state?.phase ?? 'not loaded',
    recordText,
  };
}

function recordText(record: SagaRecord): string {
  switch (record.kind) {
    case 'SENT':
    case 'SKIP':
      return `${record.kind} ${record.step}`;
    case 'ATTENTION':
      return `ATTENTION ${record.step} ${record.why.code}`;
    case 'DECIDE':
      return `DECIDE ${record.decision}${record.reason ? ` ${record.reason.code}` : ''}`;
    case 'END':
      return `END ${record.outcome}${record.resolved ? ' resolved' : ''}`;
    default:
      return record.kind;
  }
}

// ---------------------------------------------------------------- participants

/** A participant's tables: the barrier row, and what the shop's own rows have applied for it. */
interface StepRows {
  readonly row: SagaRow | null;
  readonly applied: number;
  /** For the properties only: how often a handler's effect became durable. */
  readonly executions: number;
  readonly compensations: number;
}

interface StepWrite {
  readonly row: SagaRow | null;
  readonly effect: Effect;
}

type Effect = 'execute' | 'compensate' | null;

/** `tried` counts a handler's transient failures. */
interface StepState {
  readonly machine: SagaParticipantState;
  readonly tried: number;
}

const NO_ROWS: StepRows = { row: null, applied: 0, executions: 0, compensations: 0 };
const UNTOUCHED: StepState = { machine: { phase: 'none' }, tried: 0 };

function participantRole(index: number, plan: SagaStepPlan, machines: SagaMachines): Role<StepState, SagaParticipantInput, StepWrite, StepRows> {
  return {
    name: `participant ${index}`,
    site: `p${index}`,
    boot: (rows) => ({ state: rows?.row ? { machine: { phase: 'stored', row: rows.row }, tried: 0 } : null, input: null }),
    step(state, input, around) {
      const { machine, tried } = state ?? UNTOUCHED;
      const first = machines.participant(machine, input, around.nowMs, {});
      const { run } = first.ready;
      if (run === undefined) return participantStep(first, tried, null);
      const failing = tried < (plan.transientFailures ?? 0);
      const answer: SagaHandlerAnswer = failing ? { said: 'failed', reason: { code: 'NOT_NOW' } } : handlerAnswer(run, index, plan, around);
      const second = machines.participant(first.state, { kind: 'EXECUTED', answer }, around.nowMs, {});
      return participantStep(second, failing ? tried + 1 : 0, answer.said === 'done' ? run.action : null);
    },
    write(rows, { row, effect }) {
      const { row: before, applied, executions, compensations } = rows ?? NO_ROWS;
      const durable = { row: row ?? before, applied, executions, compensations };
      if (effect === 'execute') return { durable: { ...durable, applied: applied + 1, executions: executions + 1 } };
      return { durable: effect === 'compensate' ? { ...durable, applied: applied - 1, compensations: compensations + 1 } : durable };
    },
    label: (state) => (state === null || state.machine.phase === 'none' ? 'no row' : state.machine.phase === 'stored' ? state.machine.row.state : 'running'),
    recordText: ({ row }) => row?.state ?? 'effect',
  };
}

/** Execute takes a piece, or refuses when none is left; compensate gives it back. */
function handlerAnswer({ action }: SagaRun, index: number, { vote }: SagaStepPlan, { available }: Surroundings): SagaHandlerAnswer {
  if (action === 'compensate') return { said: 'done' };
  if (available <= 0) return { said: 'no', reason: { code: 'OUT_OF_STOCK' } };
  return vote === 'no' ? { said: 'no', reason: { code: 'REFUSED' } } : { said: 'done', result: index };
}

function participantStep({ state, ready }: ReturnType<typeof stepSagaParticipant>, tried: number, effect: Effect): RoleStep<StepState, StepWrite> {
  const row = ready.records.at(-1)?.row ?? null;
  const messages = ready.messages.map(({ message }): Sent => ({ to: 'coordinator', message: message as SagaToCoordinator & Message }));
  const stock = effect === 'execute' ? -1 : effect === 'compensate' ? 1 : 0;
  return { state: { machine: state, tried }, records: row || effect ? [{ row, effect }] : [], messages, timers: [], stock };
}

// ---------------------------------------------------------------- messages

function toStep(message: SagaToParticipant): Sent<SagaToParticipant & Message> {
  return { to: `participant ${message.branch}`, message };
}

function describe(message: SagaMessage): string {
  switch (message.kind) {
    case 'REFUSED': return `REFUSED ${message.reason.code}`;
    case 'FAILED': return `FAILED ${message.action} ${message.reason.code}`;
    default: return message.kind;
  }
}
