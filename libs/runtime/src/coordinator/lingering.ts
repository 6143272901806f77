import type { Clock } from '../ports.js';
import type { Transaction } from './transaction.js';

export interface LingeringOptions {
  readonly clock: Clock;
  readonly lingerMs: number;
  readonly lingerMax: number;
  forget(transaction: Transaction): void;
}

/** Finished transactions, oldest first, that stay readable for a while. */
export class Lingering {
  /** Until when, as Clock.elapsed() counts. */
  private readonly queue = new Map<Transaction, number>();
  private takeBack: (() => void) | null = null;

  constructor(private readonly options: LingeringOptions) {}

  get size(): number {
    return this.queue.size;
  }

  add(transaction: Transaction): void {
    this.queue.set(transaction, this.options.clock.elapsed() + this.options.lingerMs);
    if (this.queue.size > this.options.lingerMax) this.purge();
    else this.arm();
  }

  delete(transaction: Transaction): void {
    this.queue.delete(transaction);
  }

  close(): void {
    this.takeBack?.();
    this.takeBack = null;
    this.queue.clear();
  }

  private purge(): void {
    const nowMs = this.options.clock.elapsed();
    let surplus = this.queue.size - this.options.lingerMax;
    for (const [transaction, untilMs] of this.queue) {
      if (untilMs > nowMs && surplus <= 0) break;
      // Recovery may have read it before its END: while it is here, that stale row is not taken for an unfinished one.
      if (!transaction.shard.recovered) continue;
      surplus--;
      this.queue.delete(transaction);
      this.options.forget(transaction);
    }
    this.arm();
  }

  private arm(): void {
    if (this.takeBack !== null || this.queue.size === 0) return;
    // Once per period is enough: nobody relies on the moment of forgetting.
    this.takeBack = this.options.clock.at(this.options.clock.now() + this.options.lingerMs, () => {
      this.takeBack = null;
      this.purge();
    });
  }
}
