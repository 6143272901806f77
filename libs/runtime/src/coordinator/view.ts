import {
  branchStatus, type BranchProgress, type Decision, type OutcomeStatus, type Reason, type SagaSpec, type SagaStepReport, type TransactionOutcome, type TransactionSpec,
} from '#libs/protocol';
import type { BeginRow, BranchReport, BranchView, PaxosBranchReport, StoredTransaction, TransactionStatus, TransactionView } from '../ports.js';
import type { Facts } from './protocols/protocol.js';
import { sagaProgress } from './protocols/saga.js';
import { stateOf } from './protocols/three-phase-commit.js';
import type { Transaction } from './transaction.js';
import type { Glimpse } from './types.js';

/** What the transaction's readers may know: never an outcome or an end that is not durable. */
export function viewOf({ protocol, shown, row, isDecided, isFinished, resolved }: Transaction): TransactionView {
  const facts = protocol.facts(shown);
  if (isFinished) return makeView(row, facts, resolved);
  const { reports, attention } = facts;
  if (!isDecided) return makeView(row, { decision: null, reason: null, reports, decidedAtMs: null, finishedAtMs: null, attention }, null);
  return makeView(row, facts.finishedAtMs === null ? facts : { ...facts, finishedAtMs: null }, null);
}

/** The times are those of the view. */
export function glimpseOf(transaction: Transaction): Glimpse {
  const { protocol, shown, isDecided, isFinished } = transaction;
  const { decidedAtMs, finishedAtMs } = protocol.facts(shown);
  return { protocol: protocol.name, decidedAtMs: isDecided ? decidedAtMs : null, finishedAtMs: isFinished ? finishedAtMs : null, view: () => viewOf(transaction) };
}

/** The same of a transaction as the tables have it, whoever owns it. */
export function storedView(stored: StoredTransaction): TransactionView {
  return makeView(stored.begin, storedFacts(stored), stored.end?.resolved ?? null);
}

/** How a transaction of the protocol ends that decided so. */
export function outcomeOf({ spec }: Pick<BeginRow, 'spec'>, decision: Decision): TransactionOutcome {
  if (spec.protocol === 'saga') return decision === 'COMMIT' ? 'completed' : 'compensated';
  return decision === 'COMMIT' ? 'committed' : 'aborted';
}

function makeView(begin: BeginRow, facts: Facts, resolved: Reason | null): TransactionView {
  const { spec, metadata } = begin;
  const { decision, decidedAtMs, finishedAtMs } = facts;
  return {
    txid: spec.txid,
    protocol: spec.protocol,
    status: statusOf(begin, facts),
    decision,
    reason: decision === 'COMMIT' ? null : facts.reason,
    branches: spec.protocol === 'saga' ? stepViews(spec, facts.reports as readonly SagaStepReport[]) : branchViews(spec, facts.reports as BranchReports, decision),
    createdAtMs: spec.createdAtMs,
    deadlineMs: spec.deadlineMs,
    decidedAtMs,
    finishedAtMs,
    attention: finishedAtMs === null ? facts.attention : null,
    resolved,
    metadata,
  };
}

function statusOf(begin: BeginRow, { decision, finishedAtMs, attention }: Facts): TransactionStatus {
  if (begin.spec.protocol !== 'saga') return decision === null ? 'pending' : outcomeOf(begin, decision);
  if (decision !== null && finishedAtMs !== null) return outcomeOf(begin, decision);
  if (attention !== null) return 'needs-attention';
  return decision === 'ABORT' ? 'compensating' : 'running';
}

// ---------------------------------------------------------------- branches and steps

type BranchReports = readonly (BranchProgress | PaxosBranchReport)[];

const UNKNOWN_BRANCH: PaxosBranchReport = { vote: null, reason: null, acked: false };
const UNKNOWN_STEP: SagaStepReport = { state: 'waiting', result: null, reason: null, attempts: 0 };

function branchViews({ branches }: TransactionSpec, reports: BranchReports, decision: Decision | null): readonly BranchView[] {
  const outcome: OutcomeStatus | null = decision === null ? null : decision === 'COMMIT' ? 'committed' : 'aborted';
  return branches.map(({ participant, operation }, index) => {
    // A paxos leader knows neither results nor attempts.
    const { vote, reason, acked, result = null, attempts = 0 }: PaxosBranchReport & Partial<BranchProgress> = reports[index] ?? UNKNOWN_BRANCH;
    return { index, participant, operation, state: branchStatus(vote, acked, outcome), vote, result, reason, attempts, step: null };
  });
}

function stepViews({ steps }: SagaSpec, reports: readonly SagaStepReport[]): readonly BranchView[] {
  return steps.map(({ id, kind, after, participant, operation }, index) => {
    const { state, result, reason, attempts } = reports[index] ?? UNKNOWN_STEP;
    const before = after ?? steps.slice(Math.max(index - 1, 0), index).map((step) => step.id);
    return { index, participant, operation, state, vote: null, result, reason, attempts, step: { id, kind, after: before } };
  });
}

// ---------------------------------------------------------------- from the tables

function storedFacts(stored: StoredTransaction): Facts {
  const { begin, register, end } = stored;
  if (end !== null) {
    const { outcome, reason, branches, atMs } = end;
    const decision = outcome === 'committed' || outcome === 'completed' ? 'COMMIT' : 'ABORT';
    return { decision, reason, reports: branches, decidedAtMs: register?.atMs ?? atMs, finishedAtMs: atMs, attention: null };
  }
  const decided = { decision: register?.decision ?? null, reason: register?.reason ?? null, decidedAtMs: register?.atMs ?? null, finishedAtMs: null };
  if (begin.spec.protocol === 'saga') return { ...decided, reports: storedSteps(begin.spec, stored), attention: sagaProgress(stored).attention };
  return { ...decided, reports: storedBranches(stored), attention: null };
}

function storedBranches(stored: StoredTransaction): readonly BranchReport[] {
  return stored.register?.branches ?? stateOf(stored)?.branches ?? [];
}

/** As far as the records tell: a step whose result went into another one's inputs is done. */
function storedSteps({ steps }: SagaSpec, stored: StoredTransaction): readonly SagaStepReport[] {
  const { sent, skipped } = sagaProgress(stored);
  const results = new Map(sent.flatMap(({ inputs }) => Object.entries(inputs)));
  const reports = stored.register?.branches as readonly SagaStepReport[] | undefined;
  return steps.map(({ id }, index): SagaStepReport => {
    const known = reports?.[index] ?? UNKNOWN_STEP;
    if (skipped.includes(id)) return { ...known, state: 'skipped' };
    if (known.state !== 'waiting' || !sent.some(({ step }) => step === id)) return known;
    return results.has(id) ? { ...known, state: 'done', result: results.get(id)! } : { ...known, state: 'sent' };
  });
}
