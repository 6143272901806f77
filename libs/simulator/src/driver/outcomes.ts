import type { OutcomeStatus, TransactionOutcome } from '#libs/protocol';

/** A saga's `completed` counts as committed, its `compensated` as aborted: what the checks ask is the same. */
export function bare(outcome: TransactionOutcome): OutcomeStatus {
  return outcome === 'completed' ? 'committed' : outcome === 'compensated' ? 'aborted' : outcome;
}
