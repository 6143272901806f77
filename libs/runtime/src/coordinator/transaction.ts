import { type Reason, ReasonCode, SagaReasonCode, type Txid, VOTE_NOT_FOUND } from '#libs/protocol';
import type { BeginRow, Clock, TransactionView } from '../ports.js';
import { Timers } from '../timers.js';
import type { Admission } from './admission.js';
import type { DurableRecord, Protocol } from './protocols/protocol.js';
import type { Round } from './round.js';
import type { Shard } from './shard.js';
import type { Timeline } from './timeline.js';
import type { BeginResult } from './types.js';
import { viewOf } from './view.js';

export interface PendingBegin {
  /** What had elapsed when it was asked for. */
  readonly sinceMs: number;
  /** Each once. */
  readonly participants: readonly string[];
  resolve(result: BeginResult): void;
  reject(error: Error): void;
}

interface Waiter {
  /** Null once it is answered: its timer, long cancelled, must not keep the transaction. */
  transaction: Transaction | null;
  readonly until: 'decided' | 'finished';
  resolve(view: TransactionView | null): void;
}

export type EndRecord = Extract<DurableRecord, { to: 'end' }>;

/** What a transaction ends with that a participant has not answered. */
const UNANSWERED: ReadonlySet<string> = new Set([ReasonCode.PREPARE_TIMEOUT, VOTE_NOT_FOUND, SagaReasonCode.STEP_TIMEOUT, SagaReasonCode.SAGA_TIMEOUT]);

/** One transaction in this process's memory. */
export interface Transaction {
  readonly txid: Txid;
  readonly row: BeginRow;
  readonly shard: Shard;
  readonly timeline: Timeline;
  readonly protocol: Protocol;
  /**
   * The wall's time less what had elapsed when it came into this memory. Its machine's clock is what elapses from there: a jump of the
   * wall clock neither uses up a budget nor stretches it.
   */
  readonly clockOffsetMs: number;
  /** As stepped: may be ahead of what is durable. The protocol's own. */
  state: unknown;
  /** What readers may see: never a decision that is not durable. */
  shown: unknown;
  /** What had elapsed when it was asked for here; null: an earlier owner's. */
  readonly sinceMs: number | null;
  /** Each once. */
  readonly participants: readonly string[];
  /** Readers may know the decision. */
  isDecided: boolean;
  /** END is durable. */
  isFinished: boolean;
  /** The broker has its outcome event. END waits for that, because nobody looks after a transaction that has ended. */
  isTold: boolean;
  /** END, until the outcome event is acknowledged. */
  heldEnd: EndRecord | null;
  /** Why an operator ended it although something was outstanding. */
  resolved: Reason | null;
  /** The last round that holds a record of it, until that is durable: messages then wait for the same flush. */
  owes: Round | null;
  /** The caller who waits for BEGIN. */
  begin: PendingBegin | null;
  /** Its caller was told that it will never commit; it aborts as soon as BEGIN is durable. */
  abandoned: boolean;
  /** No longer in memory: whatever still refers to it does nothing. */
  gone: boolean;
  /** Once END is durable: how long it stays readable, as Clock.elapsed() counts; null: before, and after. */
  lingersUntilMs: number | null;
  waiters: Waiter[];
}

/** Null when it was not an answer that decided it. */
function answeredSince({ sinceMs, isDecided, protocol, state }: Transaction): number | null {
  const reason = isDecided ? protocol.facts(state).reason : null;
  return !isDecided || (reason !== null && UNANSWERED.has(reason.code)) ? null : sinceMs;
}

/** All transactions of this process, finished ones for as long as they linger. */
export class TransactionTable {
  private readonly map = new Map<Txid, Transaction>();
  private unfinished = 0;
  private open = 0;
  private onQuiet: (() => void) | null = null;

  constructor(private readonly admission: Admission) {}

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

  /** Transactions without a decision that readers may know. */
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
    if (transaction.isDecided) return;
    this.open++;
    this.admission.enter(transaction.participants);
  }

  /** Its decision has just become visible. */
  decided(transaction: Transaction): void {
    this.open--;
    this.admission.leave(transaction.participants, answeredSince(transaction));
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
    if (!transaction.isFinished) this.finished(transaction);
    if (!transaction.isDecided) this.decided(transaction);
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

function reached({ isDecided, isFinished }: Transaction, until: 'decided' | 'finished'): boolean {
  return until === 'decided' ? isDecided : isFinished;
}

function answered(): void {}

/** Callers that wait for a transaction to get somewhere. */
export class Waiters {
  private readonly timers: Timers<'wait', Waiter>;

  constructor(private readonly clock: Clock) {
    this.timers = new Timers(clock, (due) => {
      for (const { key } of due) this.expire(key);
    });
  }

  /** Resolves with the view when it is reached, with the view as it is after `timeoutMs`, with null if it leaves this memory. */
  wait(transaction: Transaction, until: 'decided' | 'finished', timeoutMs: number): Promise<TransactionView | null> {
    if (reached(transaction, until) || timeoutMs <= 0) return Promise.resolve(viewOf(transaction));
    return new Promise((resolve) => {
      const waiter: Waiter = { transaction, until, resolve };
      transaction.waiters.push(waiter);
      this.timers.setAt(waiter, 'wait', this.clock.elapsed() + timeoutMs);
    });
  }

  /** To be called when readers may know more. @param known the view as it is now, if it has been made */
  notify(transaction: Transaction, known: TransactionView | null): void {
    const { waiters } = transaction;
    if (!waiters.some((waiter) => reached(transaction, waiter.until))) return;
    transaction.waiters = waiters.filter((waiter) => !reached(transaction, waiter.until));
    const view = known ?? viewOf(transaction);
    for (const waiter of waiters) if (reached(transaction, waiter.until)) this.settle(waiter, view);
  }

  /** The transaction left this memory: whoever waits reads the durable rows instead. */
  drop(transaction: Transaction): void {
    if (transaction.waiters.length === 0) return;
    for (const waiter of transaction.waiters.splice(0)) this.settle(waiter, null);
  }

  private expire(waiter: Waiter): void {
    const { transaction } = waiter;
    if (transaction === null) return;
    transaction.waiters.splice(transaction.waiters.indexOf(waiter), 1);
    this.settle(waiter, viewOf(transaction));
  }

  private settle(waiter: Waiter, view: TransactionView | null): void {
    this.timers.cancel(waiter, 'wait');
    waiter.transaction = null;
    waiter.resolve(view);
    waiter.resolve = answered;
  }
}
