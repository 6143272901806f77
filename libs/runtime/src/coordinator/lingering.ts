import type { Clock } from '../ports.js';
import type { Transaction } from './transaction.js';

export interface LingeringOptions {
  readonly clock: Clock;
  readonly lingerMs: number;
  readonly lingerMax: number;
  forget(transaction: Transaction): void;
}

/** Below this many places that are left behind, moving the rest to the front is not worth it. */
const COMPACT_FROM = 1024;

/** Finished transactions, oldest first, that stay readable for a while. */
export class Lingering {
  /** From `head` on; those that are forgotten already are passed over. */
  private queue: Transaction[] = [];
  private head = 0;
  private live = 0;
  private takeBack: (() => void) | null = null;

  constructor(private readonly options: LingeringOptions) {}

  get size(): number {
    return this.live;
  }

  add(transaction: Transaction): void {
    transaction.lingersUntilMs = Math.ceil(this.options.clock.elapsed() + this.options.lingerMs);
    this.queue.push(transaction);
    this.live++;
    if (this.live > this.options.lingerMax) this.purge();
    else this.arm();
  }

  delete(transaction: Transaction): void {
    if (transaction.lingersUntilMs === null) return;
    transaction.lingersUntilMs = null;
    this.live--;
  }

  close(): void {
    this.takeBack?.();
    this.takeBack = null;
    for (const transaction of this.queue) transaction.lingersUntilMs = null;
    this.queue = [];
    this.head = 0;
    this.live = 0;
  }

  private purge(): void {
    const nowMs = this.options.clock.elapsed();
    const kept: Transaction[] = [];
    for (; this.head < this.queue.length; this.head++) {
      const transaction = this.queue[this.head]!;
      const untilMs = transaction.lingersUntilMs;
      if (untilMs === null) continue;
      if (untilMs > nowMs && this.live <= this.options.lingerMax) break;
      // Recovery may have read it before its END: while it is here, that stale row is not taken for an unfinished one.
      if (transaction.shard.recovered) this.options.forget(transaction);
      else kept.push(transaction);
    }
    for (const transaction of kept.reverse()) this.queue[--this.head] = transaction;
    if (this.head >= COMPACT_FROM && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    this.arm();
  }

  private arm(): void {
    if (this.takeBack !== null || this.live === 0) return;
    // Once per period is enough: nobody relies on the moment of forgetting.
    this.takeBack = this.options.clock.at(this.options.clock.now() + this.options.lingerMs, () => {
      this.takeBack = null;
      this.purge();
    });
  }
}
