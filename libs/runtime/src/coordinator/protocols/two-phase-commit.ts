import {
  stepCoordinator, type BranchProgress, type CoordinatorConfig, type CoordinatorInput, type CoordinatorRecord, type CoordinatorState, type TransactionSpec,
} from '#libs/protocol';
import type { RegisterEntry } from '../../ports.js';
import { BEGIN, decisionText, NOTHING_OWED, withRows, type DurableRecord, type Protocol, type Stepped } from './protocol.js';

type Recover = Extract<CoordinatorInput, { kind: 'RECOVER' }>;

/**
 * Presumed abort: BEGIN, DECIDE (into the register), END. The machine writes no DECIDE where there is no second phase (one-phase, all
 * read-only): END says how it ended. But END has to wait for the outcome event, and the event for the outcome to be durable: so a DECIDE
 * is written here, in the place of END, and END follows.
 */
export function twoPhaseCommit(config: CoordinatorConfig): Protocol<CoordinatorState> {
  return {
    name: '2pc',
    decidedBy: 'register',
    hearsBegun: false,
    takes: new Set(['VOTE', 'ACK', 'INQUIRY', 'ONE_PHASE_OUTCOME']),
    start: ({ spec }, nowMs) => withRows(stepCoordinator(null, { kind: 'START', spec: spec as TransactionSpec }, nowMs, config), rowsOf),
    recover({ begin, register }, nowMs) {
      const spec = begin.spec as TransactionSpec;
      if (spec.branches.length === 1 && register?.branches.length === 1) return endDecided(spec, register, nowMs);
      const input: Recover = { kind: 'RECOVER', spec, register: register as RegisterEntry & Recover['register'] };
      return withRows(stepCoordinator(null, input, nowMs, config), rowsOf);
    },
    step(state, input, nowMs) {
      if (input.kind === 'SKIP_STEP') return { state, ready: NOTHING_OWED, ignored: 'no-steps' };
      const isUndecided = state.outcome === null && input.kind !== 'REGISTERED';
      return withRows(stepCoordinator(state, input as CoordinatorInput, nowMs, config), isUndecided ? rowsOfUndecided : rowsOf);
    },
    isDecided: ({ outcome }) => outcome !== null,
    facts: ({ outcome, reason, branches, decidedAtMs, finishedAtMs }) => ({
      decision: outcome === null ? null : outcome === 'committed' ? 'COMMIT' : 'ABORT', reason, reports: branches, decidedAtMs, finishedAtMs, attention: null,
    }),
    // A late vote, ACK or outcome needs no answer: the decision was sent to every branch that may be prepared before END was written, and
    // a branch that missed it inquires.
    whenEnded: ({ kind }) => (kind === 'INQUIRY' ? 'presume-abort' : 'drop'),
    answerEnded: () => [],
  };
}

/** A one-phase transaction whose participant's outcome an earlier owner has written down. */
function endDecided(spec: TransactionSpec, register: RegisterEntry, nowMs: number): Stepped<CoordinatorState> {
  const { txid } = spec;
  const { decision, reason, atMs } = register;
  const branches = register.branches as readonly BranchProgress[];
  const outcome = decision === 'COMMIT' ? 'committed' : 'aborted';
  const state: CoordinatorState = { spec, phase: 'finished', branches, outcome, reason, abortAsked: null, decidedAtMs: atMs, finishedAtMs: nowMs };
  return { state, ready: { ...NOTHING_OWED, records: rowsOf({ kind: 'END', txid, outcome, reason, branches, atMs: nowMs }) } };
}

function rowsOfUndecided(record: CoordinatorRecord): readonly DurableRecord[] {
  if (record.kind !== 'END') return rowsOf(record);
  const { txid, outcome, reason, branches, atMs } = record;
  const decision = outcome === 'committed' ? 'COMMIT' : 'ABORT';
  const row = { txid, decision, reason, branches, atMs } as const;
  return [{ to: 'decide', as: 'site', name: 'DECIDE', detail: decisionText(row), row }, ...rowsOf(record)];
}

function rowsOf(record: CoordinatorRecord): readonly DurableRecord[] {
  switch (record.kind) {
    case 'BEGIN':
      return [BEGIN];
    case 'DECIDE':
      return [{ to: 'decide', as: 'register', name: 'DECIDE', detail: decisionText(record), row: record }];
    case 'END': {
      const { txid, outcome, reason, branches, atMs } = record;
      return [{ to: 'end', name: 'END', detail: outcome, row: { txid, outcome, reason, resolved: null, branches, atMs } }];
    }
  }
}
