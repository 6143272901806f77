import type { AnyBranchRow, BranchKey, BranchStore, Clock } from '../ports.js';
import { backoffMs, pause } from '../retry.js';
import type { ParticipantOptions } from './types.js';

export interface RecoveryContext {
  readonly store: Pick<BranchStore<unknown>, 'loadUndecided'>;
  readonly clock: Clock;
  readonly options: Pick<ParticipantOptions, 'recoveryPage' | 'retry' | 'sweepEveryMs'>;
  found(row: AnyBranchRow): void;
  failed(error: unknown, attempt: number): void;
}

/**
 * Looks through the undecided rows, in pages, whenever partitions are gained, and now and then. It runs beside the deliveries: a
 * row that is decided meanwhile only costs a question whose answer changes nothing.
 */
export class Recovery {
  private wanted = false;
  private running: Promise<void> | null = null;
  private cancelSweep: (() => void) | null = null;

  constructor(private readonly context: RecoveryContext, private readonly stopping: AbortSignal) {}

  /** All rows are looked at from the first on, even if that is under way already. */
  request(): void {
    if (this.stopping.aborted) return;
    this.wanted = true;
    this.running ??= this.run();
  }

  /** To be called after `stopping` is raised. */
  async close(): Promise<void> {
    this.cancelSweep?.();
    await this.running;
  }

  private async run(): Promise<void> {
    const { clock, options } = this.context;
    this.cancelSweep?.();
    await Promise.resolve();
    while (this.wanted && !this.stopping.aborted) {
      this.wanted = false;
      await this.lookThrough();
    }
    this.running = null;
    if (!this.stopping.aborted) this.cancelSweep = clock.at(clock.now() + options.sweepEveryMs, () => this.request());
  }

  private async lookThrough(): Promise<void> {
    let after: BranchKey | null = null;
    do {
      const page: readonly AnyBranchRow[] | null = await this.load(after);
      if (page === null) return;
      for (const row of page) this.find(row);
      after = page.length < this.context.options.recoveryPage ? null : page.at(-1)!;
    } while (after !== null);
  }

  /** What is wrong with one row must not hide the others. */
  private find(row: AnyBranchRow): void {
    try {
      this.context.found(row);
    } catch (error) {
      this.context.failed(error, 0);
    }
  }

  /** Null when stopped before the database could answer. */
  private async load(after: BranchKey | null): Promise<readonly AnyBranchRow[] | null> {
    const { store, clock, options } = this.context;
    for (let attempt = 0; !this.stopping.aborted; attempt++) {
      try {
        return await store.loadUndecided(after, options.recoveryPage);
      } catch (error) {
        this.context.failed(error, attempt);
        await pause(clock, backoffMs(attempt, options.retry), this.stopping);
      }
    }
    return null;
  }
}
