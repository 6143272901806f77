/**
 * The properties of atomic commitment (Bernstein, Hadzilacos, Goodman 1987, 7.3: AC1-AC5), over what is durable and what clients heard.
 * AC2 (no reversal) is what AC1 says about every moment of a run together; AC5 (an end) is asked by the callers, with a bound.
 */
import type { OutcomeStatus, VoteKind } from '#libs/protocol';

/** One branch, as its rows tell. */
export interface BranchFacts {
  /** null: no durable vote. */
  readonly vote: VoteKind | null;
  /** null: undecided here. A read-only branch never decides. */
  readonly decided: OutcomeStatus | null;
  /** Pieces that a prepared branch holds back, 0 or 1. */
  readonly held: number;
  /** Effects that are final, 0 or 1. */
  readonly applied: number;
}

export interface AtomicFacts {
  readonly branches: readonly BranchFacts[];
  /** Every other place that says an outcome: the register, the coordinator's rows, a majority of acceptors. */
  readonly decisions: readonly (OutcomeStatus | null)[];
  readonly answers: readonly OutcomeStatus[];
}

/** AC1 (all say the same), AC3 (commit only if all voted yes), and at most one effect per branch, at any moment. */
export function atomicViolation({ branches, decisions, answers }: AtomicFacts): string | null {
  let committed = answers.includes('committed') || decisions.includes('committed');
  let aborted = answers.includes('aborted') || decisions.includes('aborted');
  for (const { decided, held, applied } of branches) {
    if (decided === 'committed') committed = true;
    if (decided === 'aborted') aborted = true;
    if (held < 0 || held + applied > 1 || applied < 0) return `EFFECTS: a branch holds ${held} and has applied ${applied}`;
  }
  if (committed && aborted) return 'AC1: both outcomes are told';
  if (committed && branches.some(({ vote }) => vote === null || vote === 'no')) return 'AC3: committed without every yes';
  return null;
}

/** At the end: nothing held, and effects exactly where a yes-voter committed. `outcome` null: the transaction never was. */
export function atomicLeftover(branches: readonly BranchFacts[], outcome: OutcomeStatus | null): string | null {
  for (const [i, { vote, held, applied }] of branches.entries()) {
    if (held !== 0) return `EFFECTS: branch ${i} still holds something`;
    const due = outcome === 'committed' && vote === 'yes' ? 1 : 0;
    if (applied !== due) return `EFFECTS: branch ${i} has applied ${applied}, the outcome ${outcome ?? '(none)'} asks for ${due}`;
  }
  return null;
}
