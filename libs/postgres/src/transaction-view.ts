import { type BranchProgress, type BranchSpec, branchStatus, type Decision, type Json, type OutcomeStatus, type ProtocolName, type Reason, type Txid } from '#libs/protocol';
import type { BranchView, TransactionView } from '#libs/runtime';

/** The columns of a view, of `tx_begin b LEFT JOIN tx_decision d LEFT JOIN tx_end e`. */
export const VIEW_COLUMNS = `
  b.txid, b.protocol, b.branches AS specs, b.metadata, b.created_at, b.deadline_at,
  d.decision, d.reason AS decision_reason, d.branches AS decision_branches, d.decided_at,
  e.outcome, e.reason AS end_reason, e.branches AS end_branches, e.finished_at`;

export const VIEW_JOINS = 'LEFT JOIN tx_decision d ON d.txid = b.txid LEFT JOIN tx_end e ON e.txid = b.txid';

export interface ViewRow {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly specs: readonly BranchSpec[];
  readonly metadata: Json;
  readonly created_at: Date;
  readonly deadline_at: Date;
  readonly decision: Decision | null;
  readonly decision_reason: Reason | null;
  readonly decision_branches: readonly BranchProgress[] | null;
  readonly decided_at: Date | null;
  readonly outcome: OutcomeStatus | null;
  readonly end_reason: Reason | null;
  readonly end_branches: readonly BranchProgress[] | null;
  readonly finished_at: Date | null;
}

/** The register speaks first; a transaction that ended without one takes its outcome from the end. */
export function toView(row: ViewRow): TransactionView {
  const outcome = outcomeOf(row);
  const progress = [row.end_branches, row.decision_branches].find((known) => known?.length === row.specs.length);
  return {
    txid: row.txid,
    protocol: row.protocol,
    status: outcome ?? 'pending',
    reason: row.decision === null ? row.end_reason : row.decision_reason,
    branches: row.specs.map((spec, index) => branchView(spec, index, progress?.[index] ?? UNKNOWN, outcome)),
    createdAtMs: row.created_at.getTime(),
    deadlineMs: row.deadline_at.getTime(),
    decidedAtMs: (row.decided_at ?? row.finished_at)?.getTime() ?? null,
    finishedAtMs: row.finished_at?.getTime() ?? null,
    metadata: row.metadata,
  };
}

const UNKNOWN: BranchProgress = { vote: null, reason: null, result: null, acked: false, attempts: 0 };

function outcomeOf(row: ViewRow): OutcomeStatus | null {
  if (row.decision === null) return row.outcome;
  return row.decision === 'COMMIT' ? 'committed' : 'aborted';
}

function branchView(spec: BranchSpec, index: number, progress: BranchProgress, outcome: OutcomeStatus | null): BranchView {
  const { vote, result, attempts } = progress;
  return { index, participant: spec.participant, operation: spec.operation, state: branchStatus(progress, outcome), vote, result, attempts };
}
