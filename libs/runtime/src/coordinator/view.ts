import { branchStatus } from '#libs/protocol';
import type { TransactionView } from '../ports.js';
import type { Transaction } from './transaction.js';

/** What the transaction's readers may know. */
export function viewOf({ shown, row }: Transaction): TransactionView {
  const { spec, branches, outcome } = shown;
  return {
    txid: spec.txid,
    protocol: spec.protocol,
    status: outcome ?? 'pending',
    reason: shown.reason,
    branches: branches.map((branch, index) => ({
      index,
      participant: spec.branches[index]!.participant,
      operation: spec.branches[index]!.operation,
      state: branchStatus(branch, outcome),
      vote: branch.vote,
      result: branch.result,
      attempts: branch.attempts,
    })),
    createdAtMs: spec.createdAtMs,
    deadlineMs: spec.deadlineMs,
    decidedAtMs: shown.decidedAtMs,
    finishedAtMs: shown.finishedAtMs,
    metadata: row.metadata,
  };
}
