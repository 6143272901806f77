import {
  type CoordinatorInput, type CoordinatorState, type CoordinatorStep, type Envelope, stepCoordinator, type ToParticipant,
} from '#libs/protocol';
import type { BeginRow, OutcomeEvent, RegisterEntry, UnfinishedTransaction } from '../ports.js';
import type { CoordinatorContext } from './context.js';
import type { Owed, Round } from './round.js';
import type { Shard } from './shard.js';
import { Timeline } from './timeline.js';
import type { PendingBegin, Transaction } from './transaction.js';
import { viewOf } from './view.js';

/**
 * Drives the pure machine and keeps its promise to the world: records into the round, messages and timers once nothing of
 * the transaction waits for a flush, outcomes shown only when durable.
 */
export class Stepper {
  private outgoing: Envelope[] = [];
  private outcomes: OutcomeEvent[] = [];
  private readonly self: string;

  constructor(private readonly context: CoordinatorContext) {
    this.self = `coordinator/${context.options.instance}`;
  }

  /** A new transaction; its BEGIN goes into the round. */
  start(row: BeginRow, shard: Shard, begin: PendingBegin, round: Round, nowMs: number): void {
    const result = this.compute(null, { kind: 'START', spec: row.spec }, nowMs);
    this.take(this.newTransaction(row, shard, begin, result.state), result, false, round, nowMs);
    round.urgent = true;
  }

  /** A transaction of an earlier owner. */
  recover({ begin, register }: UnfinishedTransaction, shard: Shard, round: Round, nowMs: number): void {
    const result = this.compute(null, { kind: 'RECOVER', spec: begin.spec, register }, nowMs);
    const shown = register === null ? result.state : { ...result.state, finishedAtMs: null };
    const transaction = this.newTransaction(begin, shard, null, shown);
    this.context.counters.recovered++;
    // The earlier owner may have died before it told; readers of outcomes drop repetitions.
    if (register !== null) this.outcomes.push(outcomeOf(transaction.shown));
    this.take(transaction, result, register !== null, round, nowMs);
  }

  /** @throws UnexpectedInputError when no rule covers the input; nothing has changed then */
  step(transaction: Transaction, input: CoordinatorInput, round: Round, nowMs: number): void {
    const result = this.compute(transaction.state, input, nowMs);
    if (input.kind === 'MESSAGE') transaction.timeline.received(input.message, transaction.row.spec, nowMs);
    if (result.ignored === undefined) this.take(transaction, result, input.kind === 'REGISTERED', round, nowMs);
  }

  /** What the register holds after a DECIDE of this transaction. */
  registered(transaction: Transaction, entry: RegisterEntry, round: Round, nowMs: number): void {
    this.step(transaction, { kind: 'REGISTERED', ...entry }, round, nowMs);
  }

  /** The transaction's records are durable: what waited for them happens. */
  release({ transaction, messages, timers, noted }: Owed, nowMs: number): void {
    for (const envelope of messages) this.outgoing.push(envelope);
    if (!noted) this.note(transaction, messages, nowMs);
    for (const change of timers) {
      if ('set' in change) this.context.timers.set(transaction.txid, change.set, change.atMs, change.attempt);
      else this.context.timers.cancel(transaction.txid, change.cancel);
    }
  }

  /** END is durable. */
  finish(transaction: Transaction): void {
    const { table, timers, lingering, observer, counters } = this.context;
    table.finished(transaction);
    timers.cancelKey(transaction.txid);
    this.reveal(transaction, transaction.state);
    counters.finished++;
    lingering.add(transaction);
    observer.finished(viewOf(transaction));
  }

  /** Hands over what has gathered; `onSent` is called when it and all before it is acknowledged. */
  ship(onSent: (() => void) | null): void {
    if (this.outgoing.length === 0 && this.outcomes.length === 0 && onSent === null) return;
    const { outgoing, outcomes } = this;
    this.outgoing = [];
    this.outcomes = [];
    this.context.outbox.push(outgoing, outcomes, onSent);
  }

  private compute(state: CoordinatorState | null, input: CoordinatorInput, nowMs: number): CoordinatorStep {
    return stepCoordinator(state, input, nowMs, this.context.options);
  }

  private newTransaction(row: BeginRow, shard: Shard, begin: PendingBegin | null, state: CoordinatorState): Transaction {
    const transaction: Transaction = {
      txid: row.spec.txid, row, shard, begin, state, shown: state,
      timeline: new Timeline(this.self), owing: false, abandoned: false, gone: false, waiters: [],
    };
    this.context.table.add(transaction);
    return transaction;
  }

  /** @param registered the outcome of this step is the register's, so it is durable already */
  private take(transaction: Transaction, { state, ready }: CoordinatorStep, registered: boolean, round: Round, nowMs: number): void {
    const { records, messages, timers } = ready;
    const ends = records.some((record) => record.kind === 'END');
    transaction.state = state;
    for (const record of records) {
      round.add(transaction, record);
      transaction.timeline.record(record, nowMs);
    }
    if (records.length > 0 && !(ends && this.isPatient(transaction, registered))) round.urgent = true;
    // Whatever the step: an END that waits for its flush is not to be seen.
    if (state.finishedAtMs === null || !transaction.owing) this.reveal(transaction, state);
    else if (registered || transaction.shown.outcome !== null) this.reveal(transaction, { ...state, finishedAtMs: null });
    if (ends) this.note(transaction, messages, nowMs);
    const owed = { transaction, messages, timers, noted: ends };
    if (!transaction.owing) this.release(owed, nowMs);
    else if (messages.length > 0 || timers.length > 0) round.owed.push(owed);
  }

  /** Nobody waits for this END: the decision is durable without it. */
  private isPatient(transaction: Transaction, registered: boolean): boolean {
    const decided = registered || transaction.shown.outcome !== null;
    return decided && transaction.row.spec.waitFor !== 'finished' && !transaction.waiters.some((waiter) => waiter.until === 'finished');
  }

  private note(transaction: Transaction, messages: readonly Envelope<ToParticipant>[], nowMs: number): void {
    for (const envelope of messages) transaction.timeline.sent(envelope, nowMs);
  }

  private reveal(transaction: Transaction, shown: CoordinatorState): void {
    const { table, waiters, observer, counters } = this.context;
    const isNews = transaction.shown.outcome === null && shown.outcome !== null;
    transaction.shown = shown;
    if (isNews) {
      table.decided();
      if (shown.outcome === 'committed') counters.committed++;
      else counters.aborted++;
      this.outcomes.push(outcomeOf(shown));
      observer.decided(viewOf(transaction));
    }
    waiters.notify(transaction);
  }
}

function outcomeOf({ spec, outcome, reason, decidedAtMs }: CoordinatorState): OutcomeEvent {
  if (outcome === null || decidedAtMs === null) throw new Error(`transaction ${spec.txid} has no outcome yet`);
  return { txid: spec.txid, protocol: spec.protocol, status: outcome, reason, decidedAtMs };
}

