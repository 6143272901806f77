import type { Txid } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';
import { hasReached, type Until } from './progress.js';

interface Waiter {
  readonly txid: Txid;
  readonly until: Until;
  readonly deadlineMs: number;
  readonly resolve: (view: TransactionView | null) => void;
  readonly reject: (error: unknown) => void;
}

type Read = (txids: readonly Txid[]) => Promise<ReadonlyMap<Txid, TransactionView>>;

const POLL_MS = 100;
const MAX_PER_READ = 1_000;

/**
 * Reads transactions that are not in this instance's memory, and waits for their progress. All callers share one query at a
 * time: however many wait, the database sees at most one question per 100 ms and 1,000 transactions.
 */
export class RemoteOutcomes {
  private waiters: Waiter[] = [];
  private running = false;

  constructor(private readonly readViews: Read) {}

  /**
   * Resolves when the transaction got there; after `waitMs` with what is known then (0: reads once); at once with null if there
   * is no such transaction.
   * @throws the database's error if it could not be read before the time was up
   */
  wait(txid: Txid, until: Until, waitMs: number): Promise<TransactionView | null> {
    return new Promise((resolve, reject) => {
      this.waiters.push({ txid, until, deadlineMs: performance.now() + waitMs, resolve, reject });
      if (!this.running) this.run();
    });
  }

  private run(): void {
    this.running = true;
    // Callers of the same moment share the first read.
    setImmediate(() => void this.rounds());
  }

  private async rounds(): Promise<void> {
    while (this.waiters.length > 0) {
      const asked = this.waiters;
      this.waiters = [];
      const open = await this.round(asked);
      this.waiters.push(...open);
      const fresh = this.waiters.length > open.length;
      if (open.length > 0 && !fresh) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.running = false;
  }

  /** @returns those that wait on */
  private async round(asked: readonly Waiter[]): Promise<readonly Waiter[]> {
    try {
      const views = await this.readAll(asked);
      return asked.filter((waiter) => !settle(waiter, views.get(waiter.txid) ?? null));
    } catch (error) {
      const now = performance.now();
      return asked.filter((waiter) => {
        if (now < waiter.deadlineMs) return true;
        waiter.reject(error);
        return false;
      });
    }
  }

  private async readAll(asked: readonly Waiter[]): Promise<ReadonlyMap<Txid, TransactionView>> {
    const txids = [...new Set(asked.map((waiter) => waiter.txid))];
    const views = new Map<Txid, TransactionView>();
    for (let i = 0; i < txids.length; i += MAX_PER_READ) {
      for (const [txid, view] of await this.readViews(txids.slice(i, i + MAX_PER_READ))) views.set(txid, view);
    }
    return views;
  }
}

function settle(waiter: Waiter, view: TransactionView | null): boolean {
  if (view !== null && !hasReached(view, waiter.until) && performance.now() < waiter.deadlineMs) return false;
  waiter.resolve(view);
  return true;
}
