import type { Outcome } from './run.js';
import type { ParticipantFlush } from './types.js';

const STATES = {
  prepared: 'prepared', committed: 'committed', aborted: 'aborted', 'read-only': 'readOnly', 'pre-committed': 'preCommitted', 'pre-aborted': 'preAborted',
  executed: 'executed', refused: 'refused', compensated: 'compensated', cancelled: 'cancelled',
} as const;

/** Counts since the start. */
export class Tally {
  readonly counts = {
    transactions: 0, retries: 0, inputs: 0, handlerCalls: 0, skipped: 0,
    prepared: 0, committed: 0, aborted: 0, readOnly: 0, preCommitted: 0, preAborted: 0, executed: 0, refused: 0, compensated: 0, cancelled: 0,
    acceptorRows: 0, ballots: 0,
  };

  flushed(flush: ParticipantFlush, outcomes: readonly Outcome[]): void {
    this.counts.transactions++;
    this.counts.inputs += flush.inputs;
    this.counts.handlerCalls += flush.handlerCalls;
    for (const outcome of outcomes) {
      this.counts.skipped += outcome.skipped.length;
      if (outcome.written) this.written(outcome);
    }
  }

  retried(): void {
    this.counts.retries++;
  }

  private written({ row }: Outcome): void {
    if (row?.table === 'acceptors') this.counts.acceptorRows++;
    else if (row?.table === 'leaders') this.counts.ballots++;
    else if (row?.table === 'branches') this.counts[STATES[row.row.state === 'waiting' ? 'prepared' : row.row.state]]++;
  }
}
