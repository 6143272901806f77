import { makeTxid, type SagaStepKind } from '#libs/protocol';
import type { BranchView, TransactionView } from '#libs/runtime';

/** For tests: an undecided transaction of 2pc, but for what is given. */
export function transactionView(over: Partial<TransactionView> = {}): TransactionView {
  return {
    txid: makeTxid(0, 1_700_000_000_000, new Uint8Array(8)), protocol: '2pc', status: 'pending', decision: null, reason: null, branches: [],
    createdAtMs: 0, deadlineMs: 0, decidedAtMs: null, finishedAtMs: null, attention: null, resolved: null, metadata: null, ...over,
  };
}

/** For tests: a step as a saga's view shows it. */
export function stepView(id: string, kind: SagaStepKind, state: BranchView['state'], over: Partial<BranchView> = {}): BranchView {
  return { index: 0, participant: 'payments', operation: 'debit', state, vote: null, result: null, reason: null, attempts: 1, step: { id, kind, after: [] }, ...over };
}
