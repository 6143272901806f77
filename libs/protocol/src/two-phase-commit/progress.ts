import type { BranchSpec, OutcomeStatus, Reason, Vote, VoteKind } from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { BranchProgress, CoordinatorState, TransactionSpec } from './types.js';

const UNKNOWN: BranchProgress = { vote: null, reason: null, result: null, acked: false, attempts: 0 };

/** Nothing is known of any branch yet. */
export function blankProgress(spec: TransactionSpec): readonly BranchProgress[] {
  return spec.branches.map(() => UNKNOWN);
}

/**
 * What a register entry knows of the branches. An entry that presumed abort made knows none (an empty list), because it was
 * made without the transaction at hand.
 */
export function progressFrom(spec: TransactionSpec, known: readonly BranchProgress[]): readonly BranchProgress[] {
  return known.length === spec.branches.length ? known : blankProgress(spec);
}

/** The branch after its vote. A NO or read-only voter has nothing to acknowledge: it left with its vote. */
export function voted(branch: BranchProgress, vote: Vote, spec: BranchSpec): BranchProgress {
  return {
    vote: vote.vote,
    reason: vote.vote === 'no' ? refusal(vote.reason, spec.participant) : null,
    result: vote.result ?? null,
    acked: vote.vote !== 'yes',
    attempts: branch.attempts,
  };
}

/** A participant's reason for NO under the participant's name, whether or not it gave one. */
export function refusal(reason: Reason | undefined, participant: string): Reason {
  return { ...(reason ?? { code: ReasonCode.REFUSED }), participant };
}

export function replaceBranch(branches: readonly BranchProgress[], index: number, branch: BranchProgress): readonly BranchProgress[] {
  const replaced = branches.slice();
  replaced[index] = branch;
  return replaced;
}

/** Indexes of the branches for which `test` holds. */
export function branchesWhere(state: Pick<CoordinatorState, 'branches'>, test: (branch: BranchProgress) => boolean): readonly number[] {
  const indexes: number[] = [];
  for (let i = 0; i < state.branches.length; i++) if (test(state.branches[i]!)) indexes.push(i);
  return indexes;
}

/** Names the branches whose vote is missing: the reason of a prepare timeout. */
export function timeoutReason(state: Pick<CoordinatorState, 'spec' | 'branches'>): Reason {
  const { spec } = state;
  const missing = branchesWhere(state, (branch) => branch.vote === null);
  const names = missing.map((i) => `${spec.branches[i]!.participant} (branch ${i})`).join(', ');
  const only = missing.length === 1 ? { participant: spec.branches[missing[0]!]!.participant } : {};
  return { code: ReasonCode.PREPARE_TIMEOUT, ...only, detail: `no vote from ${names} within ${spec.deadlineMs - spec.createdAtMs} ms` };
}

/** How a branch stands, for people: as the HTTP API shows it. */
export type BranchStatus = 'waiting' | 'prepared' | 'read-only' | 'refused' | 'committed' | 'aborted';

/**
 * How a branch stands, from what the coordinator knows. `prepared` under a COMMIT means that the branch has not acknowledged
 * it yet; aborts are not acknowledged as a rule, so a branch counts as aborted as soon as the transaction is.
 * @param outcome of the transaction, null while undecided
 */
export function branchStatus(vote: VoteKind | null, acked: boolean, outcome: OutcomeStatus | null): BranchStatus {
  if (vote === 'read-only') return 'read-only';
  if (vote === 'no') return 'refused';
  if (outcome === 'aborted') return 'aborted';
  if (outcome === 'committed' && acked) return 'committed';
  return vote === 'yes' ? 'prepared' : 'waiting';
}
