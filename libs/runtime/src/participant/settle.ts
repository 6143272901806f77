import { backoffMs, pause } from '../retry.js';
import type { BranchOutcome, BranchWork } from './branch-run.js';
import type { ParticipantErrorContext, ParticipantFlush, ParticipantOptions } from './types.js';
import { runUnit, type Trial, type UnitContext } from './unit.js';

/** So often a branch that fails even without its handler is tried before its messages are put aside. */
const ATTEMPTS_WITHOUT_HANDLER = 5;

export interface SettleReport {
  flushed(flush: ParticipantFlush, outcomes: readonly BranchOutcome[]): void;
  failed(error: unknown, context: ParticipantErrorContext): void;
}

/**
 * Gets work done whatever the database says.
 *   - A fault that goes away by itself: the whole transaction runs again, with backoff, as often as it takes.
 *   - Any other fault after the rows were loaded belongs to one of the branches (a value that no column takes, a constraint
 *     checked at the flush): halves are run apart until the culprit is alone. Its handler is then taken to have failed: a
 *     prepare votes NO, a commit or abort is parked.
 *   - A branch that fails even so cannot be recorded: its messages go to the dead-letter topic and the partition moves on. Its
 *     coordinator misses the vote and aborts, or repeats the decision.
 */
export class Settler<Handle> {
  constructor(
    private readonly context: UnitContext<Handle>,
    private readonly options: Pick<ParticipantOptions, 'retry'>,
    private readonly stopping: AbortSignal,
    private readonly report: SettleReport,
  ) {}

  /** What became of each branch; null when it was given up because of a stop (then nothing may be sent or marked done). */
  async settle(works: readonly BranchWork[], condemned: { readonly error: unknown } | null = null): Promise<readonly BranchOutcome[] | null> {
    const startedMs = this.context.clock.now();
    for (let attempt = 0; ; attempt++) {
      const trial: Trial = { loaded: false };
      try {
        const outcomes = await runUnit(works, this.context, trial, condemned);
        this.report.flushed(flushOf(outcomes, this.context.clock.now() - startedMs), outcomes);
        return outcomes;
      } catch (error) {
        this.report.failed(error, { activity: 'transaction', attempt });
        const isOneBranchsFault = trial.loaded && !this.context.store.isTransient(error);
        if (isOneBranchsFault && condemned === null) return this.isolate(works, error);
        if (isOneBranchsFault && attempt + 1 >= ATTEMPTS_WITHOUT_HANDLER) return this.putAside(works, error);
      }
      await pause(this.context.clock, backoffMs(attempt, this.options.retry), this.stopping);
      if (this.stopping.aborted) return null;
    }
  }

  private async isolate(works: readonly BranchWork[], error: unknown): Promise<readonly BranchOutcome[] | null> {
    if (works.length === 1) return this.settle(works, { error });
    const middle = Math.ceil(works.length / 2);
    const first = await this.settle(works.slice(0, middle));
    if (first === null) return null;
    const second = await this.settle(works.slice(middle));
    return second === null ? null : [...first, ...second];
  }

  private async putAside(works: readonly BranchWork[], error: unknown): Promise<readonly BranchOutcome[]> {
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const { key, inputs } of works) {
      for (const { input, batch } of inputs) {
        if (input.kind !== 'MESSAGE') continue;
        const about = { activity: 'dropped', txid: key.txid, branch: key.branch, message: input.message } as const;
        this.report.failed(error, about);
        // It rejects only when the partition was taken away, and then the message is delivered to its new owner.
        await batch?.deadLetter(input.message, reason).catch((cause: unknown) => this.report.failed(cause, about));
      }
    }
    return [];
  }
}

function flushOf(outcomes: readonly BranchOutcome[], ms: number): ParticipantFlush {
  const sum = (of: (outcome: BranchOutcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  return {
    branches: outcomes.length,
    inputs: sum(({ work }) => work.inputs.length),
    handlerCalls: sum(({ handlerCalls }) => handlerCalls),
    rows: sum(({ written }) => Number(written)),
    ms,
  };
}
