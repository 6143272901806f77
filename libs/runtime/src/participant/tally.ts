import type { BranchOutcome } from './branch-run.js';
import type { ParticipantFlush } from './types.js';

const STATES = { prepared: 'prepared', committed: 'committed', aborted: 'aborted', 'read-only': 'readOnly' } as const;

/** Counts since the start. */
export class Tally {
  readonly counts = { transactions: 0, retries: 0, inputs: 0, handlerCalls: 0, skipped: 0, prepared: 0, committed: 0, aborted: 0, readOnly: 0 };

  flushed(flush: ParticipantFlush, outcomes: readonly BranchOutcome[]): void {
    this.counts.transactions++;
    this.counts.inputs += flush.inputs;
    this.counts.handlerCalls += flush.handlerCalls;
    for (const { row, written, skipped } of outcomes) {
      this.counts.skipped += skipped.length;
      if (written && row !== null) this.counts[STATES[row.state]]++;
    }
  }

  retried(): void {
    this.counts.retries++;
  }
}
