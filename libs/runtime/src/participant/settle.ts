import { BRANCH_RACE } from '../ports.js';
import { backoffMs, pause } from '../retry.js';
import type { Outcome, Work } from './run.js';
import type { ParticipantErrorContext, ParticipantFlush, ParticipantOptions } from './types.js';
import { runUnit, type Trial, type UnitContext } from './unit.js';

/** So often a key that fails even without its handler is tried before its messages are put aside. */
const ATTEMPTS_WITHOUT_HANDLER = 5;
/** So often in a row a passing fault of the database may come out of handlers before one of them is taken to be its cause. */
const ATTEMPTS_IN_HANDLERS = 8;
/** Once one of some is suspected: halves need no further proof, a single one may have met a passing fault after all. */
const ATTEMPTS_OF_SUSPECTS = 2;

/** What its handler is taken to have failed with, without being run. */
interface Condemned {
  readonly error: unknown;
}

export interface SettleReport {
  /** Durable: to be followed before anything else is run. */
  flushed(flush: ParticipantFlush, outcomes: readonly Outcome[]): void;
  /** Could not be recorded. */
  dropped(works: readonly Work[]): void;
  failed(error: unknown, context: ParticipantErrorContext): void;
}

/**
 * Gets work done whatever the database says. The first attempt trusts what is expected of the rows. Its failure proves nothing but that,
 * if it does not pass by itself, and so the work runs again at once with all rows loaded. From there on:
 *   - A fault that goes away by itself: the whole transaction runs again, with backoff, as often as it takes.
 *   - Any other fault after the rows were loaded belongs to one of the keys (a value that no column takes, a constraint
 *     checked at the flush): halves are run apart until the culprit is alone. Its handler is then taken to have failed: a
 *     prepare votes NO, a commit or abort is parked, a saga's step answers FAILED.
 *   - A passing fault that comes out of the handlers again and again (a statement that always times out) is no passing one: as above.
 *   - A key that fails even so cannot be recorded: its messages go to the dead-letter topic and the partition moves on. Its
 *     coordinator misses the vote and aborts, or repeats the decision.
 */
export class Settler<Handle> {
  constructor(
    private readonly context: UnitContext<Handle>,
    private readonly options: Pick<ParticipantOptions, 'retry'>,
    private readonly stopping: AbortSignal,
    private readonly report: SettleReport,
  ) {}

  /** What became of each; null when it was given up because of a stop (then nothing may be sent or marked done). */
  settle(works: readonly Work[]): Promise<readonly Outcome[] | null> {
    return this.attempt(works, null, ATTEMPTS_IN_HANDLERS, true);
  }

  /** For decisions whose handlers have failed before: they are suspects from the start, so that they do not hold up the others for long. */
  settleSuspects(works: readonly Work[]): Promise<readonly Outcome[] | null> {
    return this.attempt(works, null, patienceWith(works));
  }

  private async attempt(works: readonly Work[], condemned: Condemned | null, patience: number, trusting = false): Promise<readonly Outcome[] | null> {
    const { clock, store } = this.context;
    const startedMs = clock.elapsed();
    for (let attempt = 0, inHandlers = 0; ; attempt++) {
      const trial: Trial = { loaded: false, inHandlers: false };
      const tried = await this.tryOnce(works, trial, condemned, trusting);
      if (!('error' in tried)) {
        this.report.flushed(flushOf(tried.outcomes, clock.elapsed() - startedMs), tried.outcomes);
        return tried.outcomes;
      }
      const { error } = tried;
      const isDoubtful = trusting && (!store.isTransient(error) || isRace(error));
      trusting = false;
      if (isDoubtful) {
        attempt--;
        continue;
      }
      this.report.failed(error, { activity: 'transaction', attempt });
      inHandlers = trial.inHandlers ? inHandlers + 1 : 0;
      const isOnesFault = trial.loaded && (!store.isTransient(error) || inHandlers >= patience);
      if (isOnesFault && condemned === null) return this.isolate(works, error);
      if (isOnesFault && attempt + 1 >= ATTEMPTS_WITHOUT_HANDLER) return this.putAside(works, error);
      await pause(clock, backoffMs(attempt, this.options.retry), this.stopping);
      if (this.stopping.aborted) return null;
    }
  }

  private async tryOnce(works: readonly Work[], trial: Trial, condemned: Condemned | null, trusting: boolean): Promise<{ readonly outcomes: readonly Outcome[] } | { readonly error: unknown }> {
    try {
      return { outcomes: await runUnit(works, this.context, trial, condemned, trusting) };
    } catch (error) {
      return { error };
    }
  }

  private async isolate(works: readonly Work[], error: unknown): Promise<readonly Outcome[] | null> {
    if (works.length === 1) return this.attempt(works, { error }, Infinity);
    const middle = Math.ceil(works.length / 2);
    const outcomes: Outcome[] = [];
    for (const half of [works.slice(0, middle), works.slice(middle)]) {
      const some = await this.attempt(half, null, patienceWith(half));
      if (some === null) return null;
      outcomes.push(...some);
    }
    return outcomes;
  }

  private async putAside(works: readonly Work[], error: unknown): Promise<readonly Outcome[]> {
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const { key, inputs } of works) {
      for (const { input, batch } of inputs) {
        if (input.kind !== 'MESSAGE') continue;
        const about = { activity: 'dropped', txid: key.txid, ...(key.role === 'branch' && { branch: key.branch }), message: input.message } as const;
        this.report.failed(error, about);
        // It rejects only when the partition was taken away, and then the message is delivered to its new owner.
        await batch?.deadLetter(input.message, reason).catch((cause: unknown) => this.report.failed(cause, about));
      }
    }
    this.report.dropped(works);
    return [];
  }
}

function patienceWith(works: readonly Work[]): number {
  return works.length === 1 ? ATTEMPTS_OF_SUSPECTS : 1;
}

function flushOf(outcomes: readonly Outcome[], ms: number): ParticipantFlush {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  return {
    branches: sum(({ key }) => Number(key.role === 'branch')),
    inputs: sum(({ inputs }) => inputs),
    handlerCalls: sum(({ handlerCalls }) => handlerCalls),
    rows: sum(({ written }) => Number(written)),
    ms,
  };
}

function isRace(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === BRANCH_RACE;
}
