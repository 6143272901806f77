import type { Clock } from './ports.js';
import { backoffMs, pause, QUICK_BACKOFF } from './retry.js';

export interface GatherOptions<Item> {
  readonly clock: Clock;
  /** At most this many items at once. */
  readonly maxBatch: number;
  /** Processes one batch; never called while a call is pending. A rejection repeats the same batch. */
  work(batch: readonly Item[]): Promise<void>;
  /**
   * Told of every rejection; gives the milliseconds until the next try, or null to give the batch up.
   * Absent: 10 ms, doubling up to 1 s, for ever.
   */
  onError?(error: unknown, attempt: number, batch: readonly Item[]): number | null;
}

/**
 * Takes items one by one and works on them in batches: one batch at a time, and what comes meanwhile is the next one. An
 * idle gatherer starts in the same turn of the event loop, without a timer; everything that this turn brings goes along.
 */
export class Gather<Item> {
  private queue: Item[] = [];
  private running: Promise<void> | null = null;
  private readonly closing = new AbortController();

  constructor(private readonly options: GatherOptions<Item>) {}

  /** Items that wait, without those being worked on. */
  get queued(): number {
    return this.queue.length;
  }

  get busy(): boolean {
    return this.running !== null;
  }

  add(item: Item): void {
    if (this.closing.signal.aborted) return;
    this.queue.push(item);
    this.running ??= this.run();
  }

  /** Resolves when nothing waits and nothing is being worked on. */
  async idle(): Promise<void> {
    while (this.running !== null) await this.running;
  }

  /** Drops what waits, ends retries, resolves when the call in flight has returned. */
  async close(): Promise<void> {
    this.closing.abort();
    this.queue = [];
    await this.running;
  }

  private async run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.queue.length > 0) await this.workOn(this.queue.splice(0, this.options.maxBatch));
    this.running = null;
  }

  private async workOn(batch: readonly Item[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.options.work(batch);
      } catch (error) {
        const waitMs = this.options.onError === undefined ? backoffMs(attempt, QUICK_BACKOFF) : this.options.onError(error, attempt, batch);
        if (waitMs === null) return;
        await pause(this.options.clock, waitMs, this.closing.signal);
        if (this.closing.signal.aborted) return;
      }
    }
  }
}
