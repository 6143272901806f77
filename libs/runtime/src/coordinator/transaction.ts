import type { CoordinatorState, Txid } from '#libs/protocol';
import type { BeginRow, Clock, TransactionView } from '../ports.js';
import { Timers } from '../timers.js';
import type { Shard } from './shard.js';
import type { Timeline } from './timeline.js';
import type { BeginResult } from './types.js';
import { viewOf } from './view.js';

export interface PendingBegin {
  resolve(result: BeginResult): void;
  reject(error: Error): void;
}

interface Waiter {
  readonly key: string;
  readonly until: 'decided' | 'finished';
  readonly resolve: (view: TransactionView | null) => void;
}

/** One transaction in this process's memory. */
export interface Transaction {
  readonly txid: Txid;
  readonly row: BeginRow;
  readonly shard: Shard;
  readonly timeline: Timeline;
  /** As stepped: may be ahead of what is durable. */
  state: CoordinatorState;
  /** What readers may see: never an outcome or an end that is not durable. */
  shown: CoordinatorState;
  /** True while a record of it waits for, or is in, a flush: messages then wait for the same flush. */
  owing: boolean;
  /** The caller who waits for BEGIN. */
  begin: PendingBegin | null;
  /** Its caller was told that it will never commit; it aborts as soon as BEGIN is durable. */
  abandoned: boolean;
  /** No longer in memory: whatever still refers to it does nothing. */
  gone: boolean;
  waiters: Waiter[];
}

/** All transactions of this process, finished ones for as long as they linger. */
export class TransactionTable {
  private readonly map = new Map<Txid, Transaction>();
  private unfinished = 0;
  private open = 0;
  private onQuiet: (() => void) | null = null;

  get(txid: Txid): Transaction | undefined {
    return this.map.get(txid);
  }

  get size(): number {
    return this.map.size;
  }

  /** Transactions without END. */
  get inFlight(): number {
    return this.unfinished;
  }

  /** Transactions without an outcome that readers may see. */
  get undecided(): number {
    return this.open;
  }

  values(): Iterable<Transaction> {
    return this.map.values();
  }

  add(transaction: Transaction): void {
    this.map.set(transaction.txid, transaction);
    this.unfinished++;
    transaction.shard.inFlight++;
    if (transaction.shown.outcome === null) this.open++;
  }

  /** Its outcome has just become visible. */
  decided(): void {
    this.open--;
    this.checkQuiet();
  }

  /** Its END has just become durable. */
  finished(transaction: Transaction): void {
    this.unfinished--;
    transaction.shard.inFlight--;
  }

  remove(transaction: Transaction): void {
    if (transaction.gone) return;
    transaction.gone = true;
    this.map.delete(transaction.txid);
    if (transaction.shown.finishedAtMs === null) this.finished(transaction);
    if (transaction.shown.outcome === null) this.decided();
  }

  /** Calls back once, when nothing is undecided. */
  whenQuiet(callback: () => void): void {
    this.onQuiet = callback;
    this.checkQuiet();
  }

  private checkQuiet(): void {
    if (this.open > 0 || this.onQuiet === null) return;
    this.onQuiet();
    this.onQuiet = null;
  }
}

export function reached(state: CoordinatorState, until: 'decided' | 'finished'): boolean {
  return until === 'decided' ? state.outcome !== null : state.finishedAtMs !== null;
}

/** Callers that wait for a transaction to get somewhere. */
export class Waiters {
  private readonly timers: Timers<'wait'>;
  private readonly byKey = new Map<string, Transaction>();
  private next = 0;

  constructor(private readonly clock: Clock) {
    this.timers = new Timers(clock, (due) => {
      for (const { key } of due) this.expire(key);
    });
  }

  /** Resolves with the view when it is reached, with the view as it is after `timeoutMs`, with null if it leaves this memory. */
  wait(transaction: Transaction, until: 'decided' | 'finished', timeoutMs: number): Promise<TransactionView | null> {
    if (reached(transaction.shown, until) || timeoutMs <= 0) return Promise.resolve(viewOf(transaction));
    return new Promise((resolve) => {
      const key = String(this.next++);
      transaction.waiters.push({ key, until, resolve });
      this.byKey.set(key, transaction);
      this.timers.set(key, 'wait', this.clock.now() + timeoutMs);
    });
  }

  /** To be called when `shown` has changed. */
  notify(transaction: Transaction): void {
    if (transaction.waiters.length === 0) return;
    const satisfied = transaction.waiters.filter((waiter) => reached(transaction.shown, waiter.until));
    if (satisfied.length === 0) return;
    transaction.waiters = transaction.waiters.filter((waiter) => !satisfied.includes(waiter));
    const view = viewOf(transaction);
    for (const waiter of satisfied) this.settle(waiter, view);
  }

  /** The transaction left this memory: whoever waits reads the durable rows instead. */
  drop(transaction: Transaction): void {
    for (const waiter of transaction.waiters.splice(0)) this.settle(waiter, null);
  }

  private expire(key: string): void {
    const transaction = this.byKey.get(key);
    const at = transaction?.waiters.findIndex((waiter) => waiter.key === key) ?? -1;
    if (transaction === undefined || at < 0) return;
    this.settle(transaction.waiters.splice(at, 1)[0]!, viewOf(transaction));
  }

  private settle(waiter: Waiter, view: TransactionView | null): void {
    this.timers.cancel(waiter.key, 'wait');
    this.byKey.delete(waiter.key);
    waiter.resolve(view);
  }
}
