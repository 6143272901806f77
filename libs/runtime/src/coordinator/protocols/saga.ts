import {
  ReasonCode, stepSagaCoordinator, type Reason, type SagaAttention, type SagaCoordinatorInput, type SagaCoordinatorState, type SagaInputs, type SagaRecord, type SagaSent,
  type SagaSpec, type SagaStepReport,
} from '#libs/protocol';
import type { ProgressRow, RegisterEntry, UnfinishedTransaction } from '../../ports.js';
import { asJson, BEGIN, decisionText, NOTHING_OWED, withRows, type DurableRecord, type Protocol, type ProtocolInput, type Stepped } from './protocol.js';

type Recover = Extract<SagaCoordinatorInput, { kind: 'RECOVER' }>;

/** The machine, and what START owes besides BEGIN until that is durable. */
interface SagaState {
  readonly machine: SagaCoordinatorState;
  readonly held: Stepped['ready'] | null;
}

const UNNOTED: Reason = { code: ReasonCode.COORDINATOR_RECOVERED, detail: 'no step was noted as sent when its coordinator was replaced' };

/**
 * BEGIN, SENT before a step's first EXECUTE, DECIDE (into the register), SKIP, ATTENTION, END. All of them fenced by the shard's epoch,
 * COMMIT too.
 *
 * SENT says which steps may have been executed by whoever was the owner before, and with which inputs. Of two waves that is known without
 * it, so their EXECUTEs do not wait until it is durable: of the first, which follows from BEGIN alone, and of those after COMMIT, which
 * all have to be executed, with inputs that the register knows or that participants repeat from their rows.
 *
 * SENT of the first wave is written when BEGIN is durable and its caller has been answered. For a new owner goes on with a saga where
 * the others abort; but a caller who was refused while BEGIN was in flight (the store or the shard gone) has been told that it will
 * never commit. So a saga without any SENT may be such a one, and a new owner aborts it, and takes it that its first wave was sent.
 */
export function saga(): Protocol<SagaState> {
  return {
    name: 'saga',
    decidedBy: 'register',
    hearsBegun: true,
    takes: new Set(['EXECUTED', 'REFUSED', 'FAILED', 'COMPENSATED', 'CANCELLED']),
    start({ spec }, nowMs) {
      const { state, ready } = withRows(stepSagaCoordinator(null, { kind: 'START', spec: spec as SagaSpec }, nowMs), rowsOf);
      const records = ready.records.filter(({ to }) => to !== 'begin').map(lazily);
      return { state: { machine: state, held: { ...ready, records } }, ready: { ...NOTHING_OWED, records: [BEGIN] } };
    },
    recover(unfinished, nowMs) {
      const input = recovery(unfinished);
      const isNoted = input.sent.length > 0;
      const sent = isNoted ? input.sent : firstWaveOf(input.spec, nowMs);
      if (!isNoted && input.register === null) return giveUp(input.spec, sent, UNNOTED, nowMs);
      return stepped(withRows(stepSagaCoordinator(null, { ...input, sent }, nowMs), rowsOf));
    },
    step(state, input, nowMs) {
      if (input.kind === 'BEGUN') return { state: { machine: state.machine, held: null }, ready: state.held ?? NOTHING_OWED };
      if (state.held !== null) return beforeBegun(state, input, nowMs);
      const next = withRows(stepSagaCoordinator(state.machine, inputOf(input), nowMs), rowsOf);
      return next.ignored === undefined ? stepped(next) : { state, ready: NOTHING_OWED, ignored: next.ignored };
    },
    isDecided: ({ machine }) => machine.outcome !== null,
    facts: ({ machine: { outcome, reason, steps, decidedAtMs, finishedAtMs, attention } }) => ({
      decision: outcome === null ? null : outcome === 'completed' ? 'COMMIT' : 'ABORT', reason: outcome === null ? null : reason, reports: steps, decidedAtMs, finishedAtMs,
      attention,
    }),
    // Participants of a saga are never in doubt: they have nothing to ask.
    whenEnded: () => 'drop',
    answerEnded: () => [],
  };
}

function stepped({ state, ready }: Stepped<SagaCoordinatorState>): Stepped<SagaState> {
  return { state: { machine: state, held: null }, ready };
}

/** Nobody has been asked for anything, so it can still be called off, even one that decides to commit at once (all steps retriable). */
function beforeBegun(state: SagaState, input: ProtocolInput, nowMs: number): Stepped<SagaState> {
  if (input.kind === 'CANCEL') return giveUp(state.machine.spec, [], input.reason, nowMs);
  return { state, ready: NOTHING_OWED, ignored: 'not-begun' };
}

/** What the machine sends first, which follows from the saga alone. */
function firstWaveOf(spec: SagaSpec, nowMs: number): readonly SagaSent[] {
  return stepSagaCoordinator(null, { kind: 'START', spec }, nowMs).ready.records.filter((record) => record.kind === 'SENT');
}

/** The machine gives up a saga whose time is over: it proposes ABORT, once a pivot that was sent cannot execute any more. */
function giveUp(spec: SagaSpec, sent: readonly SagaSent[], reason: Reason, nowMs: number): Stepped<SagaState> {
  const overdue = { ...spec, deadlineMs: spec.createdAtMs };
  const input: Recover = { kind: 'RECOVER', spec: overdue, sent, skipped: [], attention: null, register: null };
  const { state, ready } = withRows(stepSagaCoordinator(null, input, Math.max(nowMs, spec.createdAtMs)), rowsOf);
  const because = (record: DurableRecord): DurableRecord => (
    record.to === 'decide' ? { ...record, detail: decisionText({ decision: 'ABORT', reason }), row: { ...record.row, reason } } : record
  );
  return { state: { machine: { ...state, spec, reason }, held: null }, ready: { ...ready, records: ready.records.map(because) } };
}

/** What the progress rows of a saga say. */
export function sagaProgress({ progress }: Pick<UnfinishedTransaction, 'progress'>) {
  const sent = progress.filter(({ kind }) => kind === 'SENT').map(({ key, data }): SagaSent => ({ step: key, inputs: (data as { readonly inputs: SagaInputs }).inputs }));
  const skipped = progress.filter(({ kind }) => kind === 'SKIP').map(({ key }) => key);
  const attention = progress.find(({ kind }) => kind === 'ATTENTION');
  return { sent, skipped, attention: attention === undefined ? null : attention.data as unknown as SagaAttention };
}

function recovery(unfinished: UnfinishedTransaction): Recover {
  const { begin, register } = unfinished;
  return { kind: 'RECOVER', spec: begin.spec as SagaSpec, ...sagaProgress(unfinished), register: register === null ? null : registerOf(register) };
}

function inputOf(input: ProtocolInput): SagaCoordinatorInput {
  return input.kind === 'REGISTERED' ? { kind: 'REGISTERED', ...registerOf(input) } : input as SagaCoordinatorInput;
}

function registerOf({ decision, reason, branches, atMs }: RegisterEntry) {
  return { decision, reason, steps: branches as readonly SagaStepReport[], atMs };
}

function rowsOf(record: SagaRecord, { phase }: SagaCoordinatorState): readonly DurableRecord[] {
  switch (record.kind) {
    case 'BEGIN':
      return [BEGIN];
    case 'SENT': {
      const row = progressRow(record.kind, record.step, { txid: record.txid, kind: 'SENT', key: record.step, data: { inputs: record.inputs } });
      return [phase === 'completing' ? lazily(row) : row];
    }
    case 'SKIP': {
      const { txid, step, reason, atMs } = record;
      return [progressRow(record.kind, withCode(step, reason), { txid, kind: 'SKIP', key: step, data: asJson({ reason, atMs }) })];
    }
    case 'ATTENTION': {
      const { txid, step, why, atMs } = record;
      return [progressRow(record.kind, withCode(step, why), { txid, kind: 'ATTENTION', key: '', data: asJson({ step, why, atMs }) })];
    }
    case 'DECIDE': {
      const { txid, decision, reason, steps, atMs } = record;
      return [{ to: 'decide', as: 'register', name: 'DECIDE', detail: decisionText(record), row: { txid, decision, reason, branches: steps, atMs } }];
    }
    case 'END': {
      const { txid, outcome, reason, resolved, steps, atMs } = record;
      const detail = resolved === null ? outcome : withCode(outcome, resolved);
      return [{ to: 'end', name: 'END', detail, row: { txid, outcome, reason, resolved, branches: steps, atMs } }];
    }
  }
}

function lazily(record: DurableRecord): DurableRecord {
  return record.to === 'progress' ? { ...record, isLazy: true } : record;
}

function progressRow(name: string, detail: string, row: ProgressRow): DurableRecord {
  return { to: 'progress', name, detail, row };
}

function withCode(what: string, { code }: Reason): string {
  return `${what} ${code}`;
}
