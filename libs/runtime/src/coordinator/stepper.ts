import type { Envelope, ProtocolMessage } from '#libs/protocol';
import type { BeginRow, OutcomeEvent, RegisterEntry, TransactionView, UnfinishedTransaction } from '../ports.js';
import { participantsOf } from './admission.js';
import type { CoordinatorContext } from './context.js';
import type { DurableRecord, ProtocolInput, Stepped } from './protocols/protocol.js';
import type { Owed, Round } from './round.js';
import type { Shard } from './shard.js';
import { Timeline } from './timeline.js';
import type { EndRecord, PendingBegin, Transaction } from './transaction.js';
import { glimpseOf, outcomeOf, viewOf } from './view.js';

/**
 * Drives the pure machines and keeps their promise to the world: records into the round, messages and timers once nothing of the
 * transaction waits for a flush, decisions shown only when they stand, END only when the broker has the outcome event.
 */
export class Stepper {
  private outgoing: Envelope[] = [];
  private outcomes: OutcomeEvent[] = [];
  /** Whose outcomes those are. */
  private published: Transaction[] = [];
  /** Somebody waits for an END that waits for its outcome event. */
  private isHurried = false;
  private readonly self: string;
  /** The store is away: what would only repeat an answer is not kept for its return. */
  storeAway = false;

  /** @param onTold the outcome events of these are acknowledged, and their ENDs wait for that: to be answered by `end` */
  constructor(private readonly context: CoordinatorContext, private readonly onTold: (transactions: readonly Transaction[]) => void) {
    this.self = `coordinator/${context.options.instance}`;
  }

  /** A new transaction; its BEGIN goes into the round. */
  start(row: BeginRow, shard: Shard, begin: PendingBegin, round: Round): void {
    const { spec } = row;
    const protocol = this.context.protocols[spec.protocol];
    const stepped = protocol.start(row, spec.createdAtMs, shard.epoch);
    this.take(this.newTransaction(row, shard, begin, stepped.state, spec.createdAtMs), stepped, false, round, spec.createdAtMs);
  }

  /** A transaction of an earlier owner. */
  recover(unfinished: UnfinishedTransaction, shard: Shard, round: Round): void {
    const { begin, register } = unfinished;
    const nowMs = this.context.clock.now();
    const protocol = this.context.protocols[begin.spec.protocol];
    const stepped = protocol.recover(unfinished, nowMs, shard.epoch);
    const transaction = this.newTransaction(begin, shard, null, stepped.state, nowMs, register !== null);
    this.context.counters.recovered++;
    // The earlier owner may have died before it told; readers of outcomes drop repetitions.
    if (register !== null && protocol.name !== 'saga') this.publish(transaction);
    this.take(transaction, stepped, register !== null, round, nowMs);
  }

  /**
   * @returns the round that must be durable before everything that follows from the input has happened, if there is one
   * @throws UnexpectedInputError when no rule covers the input; nothing has changed then
   */
  step(transaction: Transaction, input: ProtocolInput, round: Round): Round | null {
    const nowMs = this.nowOf(transaction);
    const stepped = transaction.protocol.step(transaction.state, input, nowMs, transaction.shard.epoch);
    if (input.kind === 'MESSAGE') transaction.timeline.received(input.message, transaction.row.spec, nowMs);
    return stepped.ignored === undefined ? this.take(transaction, stepped, input.kind === 'REGISTERED', round, nowMs) : null;
  }

  /** What the register holds after a DECIDE of this transaction. */
  registered(transaction: Transaction, { decision, reason, branches, atMs }: RegisterEntry, round: Round): void {
    this.step(transaction, { kind: 'REGISTERED', decision, reason, branches, atMs }, round);
  }

  /** The row of a decision that the machine has taken already. @throws if somebody else's row says something else */
  recorded({ protocol, txid, state }: Transaction, entry: RegisterEntry): void {
    const { decision } = protocol.facts(state);
    if (decision !== null && decision !== entry.decision) throw new Error(`${txid} is ${decision}, and its row says ${entry.decision}`);
  }

  /** The transaction's records are durable: what waited for them happens. */
  release({ transaction, messages, timers, noted, publishes }: Owed): void {
    for (const envelope of messages) this.outgoing.push(envelope);
    if (publishes) this.publish(transaction);
    if (!noted) this.note(transaction, messages);
    for (const change of timers) {
      if ('set' in change) this.context.timers.setAt(transaction.txid, change.set, change.atMs - transaction.clockOffsetMs, change.attempt);
      else this.context.timers.cancel(transaction.txid, change.cancel);
    }
  }

  /** The outcome event is acknowledged: the END that has waited for it goes into the round. */
  end(transaction: Transaction, round: Round): void {
    const { heldEnd } = transaction;
    if (transaction.gone || heldEnd === null) return;
    transaction.heldEnd = null;
    this.writeEnd(transaction, heldEnd, round, this.nowOf(transaction));
  }

  /** Somebody waits for the END, which may wait for its event. */
  hurry(transaction: Transaction): void {
    if (transaction.heldEnd !== null) this.isHurried = true;
  }

  /** END is durable. */
  finish(transaction: Transaction): void {
    const { table, timers, lingering, observer, counters } = this.context;
    table.finished(transaction);
    timers.cancelKey(transaction.txid);
    transaction.isFinished = true;
    transaction.shown = transaction.state;
    this.reveal(transaction);
    counters.finished++;
    lingering.add(transaction);
    observer.finished(glimpseOf(transaction));
  }

  /** The state as stepped may be seen, its decision too. */
  reveal(transaction: Transaction): void {
    const { table, waiters, observer, counters } = this.context;
    const { protocol, state } = transaction;
    let view: TransactionView | null = null;
    const isNews = !transaction.isDecided && protocol.isDecided(state);
    transaction.shown = state;
    if (isNews) {
      transaction.isDecided = true;
      table.decided(transaction);
      if (protocol.name !== 'saga') this.publish(transaction);
      view = viewOf(transaction);
      if (view.decision === 'COMMIT') counters.committed++;
      else counters.aborted++;
      observer.decided(view);
    }
    if (transaction.waiters.length > 0) waiters.notify(transaction, view);
  }

  /** Hands over what has gathered; `onSent` is called when it and all before it is acknowledged. */
  ship(onSent: (() => void) | null): void {
    const { outgoing, outcomes, published, isHurried } = this;
    if (outgoing.length === 0 && outcomes.length === 0 && onSent === null && !isHurried) return;
    this.outgoing = [];
    this.outcomes = [];
    this.published = [];
    this.isHurried = false;
    const whenSent = published.length === 0 ? onSent : () => {
      this.told(published);
      onSent?.();
    };
    this.context.outbox.push(outgoing, outcomes, whenSent, isHurried);
  }

  private told(transactions: readonly Transaction[]): void {
    for (const transaction of transactions) transaction.isTold = true;
    const waiting = transactions.filter(({ heldEnd, gone }) => heldEnd !== null && !gone);
    if (waiting.length > 0) this.onTold(waiting);
  }

  private newTransaction(row: BeginRow, shard: Shard, begin: PendingBegin | null, state: unknown, nowMs: number, isDecided = false): Transaction {
    const transaction: Transaction = {
      txid: row.spec.txid, row, shard, begin, state, shown: state, isDecided, isFinished: false, isTold: false, heldEnd: null, resolved: null,
      protocol: this.context.protocols[row.spec.protocol], clockOffsetMs: nowMs - Math.floor(this.context.clock.elapsed()),
      sinceMs: begin?.sinceMs ?? null, participants: begin?.participants ?? participantsOf(row.spec), timeline: new Timeline(this.self, nowMs), owes: null, abandoned: false, gone: false, lingersUntilMs: null, waiters: [],
    };
    this.context.table.add(transaction);
    return transaction;
  }

  private nowOf({ clockOffsetMs }: Transaction): number {
    return Math.floor(this.context.clock.elapsed()) + clockOffsetMs;
  }

  /** @param stands the decision of this step is durable already */
  private take(transaction: Transaction, { state, ready }: Stepped, stands: boolean, round: Round, nowMs: number): Round | null {
    const { records, messages, timers } = ready;
    const { protocol } = transaction;
    let end: EndRecord | null = null;
    transaction.state = state;
    for (const record of records) {
      if (record.to === 'end') {
        end = record;
        continue;
      }
      round.add(transaction, record);
      transaction.timeline.record(record, nowMs);
      if (!mayWait(record)) round.urgent = true;
    }
    if (end !== null) this.writeEndWhenTold(transaction, end, round, nowMs);
    const isHeld = end !== null && !transaction.isTold;
    const decided = protocol.isDecided(state);
    const free = decided && protocol.decidedBy === 'acceptors';
    // A decision that waits for its flush is not to be seen; nor is an end, but that is asked elsewhere (`isFinished`).
    if (!decided || stands || free || transaction.isDecided || transaction.owes === null) this.reveal(transaction);
    const noted = end !== null && !isHeld;
    if (noted) this.note(transaction, messages);
    const { owes } = transaction;
    const publishes = isHeld && protocol.name === 'saga';
    const isNothing = messages.length === 0 && timers.length === 0 && !publishes;
    const isOwed = !isNothing && this.hand({ transaction, messages, timers, noted, publishes }, free ? null : owes, records.length > 0);
    return isOwed || noted || records.length > (end === null ? 0 : 1) ? owes : null;
  }

  private writeEndWhenTold(transaction: Transaction, end: EndRecord, round: Round, nowMs: number): void {
    if (transaction.isTold) return this.writeEnd(transaction, end, round, nowMs);
    transaction.heldEnd = end;
    if (!this.isPatient(transaction)) this.isHurried = true;
  }

  private writeEnd(transaction: Transaction, end: EndRecord, round: Round, nowMs: number): void {
    round.add(transaction, end);
    transaction.timeline.record(end, nowMs);
    transaction.resolved = end.row.resolved;
    if (!this.isPatient(transaction)) round.urgent = true;
  }

  /** @returns whether messages wait for the round */
  private hand(owed: Owed, round: Round | null, hasRecords: boolean): boolean {
    const { messages, timers, publishes } = owed;
    if (round === null) {
      this.release(owed);
      return false;
    }
    // It would wait among ever more repetitions of itself; who asks will ask again.
    const isDropped = this.storeAway && !hasRecords;
    if (!isDropped) round.owed.push(owed);
    else if (timers.length > 0 || publishes) round.owed.push({ ...owed, messages: [] });
    return !isDropped && messages.length > 0;
  }

  /** Nobody waits for this END: the decision stands without it. */
  private isPatient({ row, waiters }: Transaction): boolean {
    return row.spec.waitFor !== 'finished' && !waiters.some((waiter) => waiter.until === 'finished');
  }

  private note(transaction: Transaction, messages: readonly Envelope<ProtocolMessage>[]): void {
    if (messages.length === 0) return;
    const nowMs = this.nowOf(transaction);
    for (const envelope of messages) transaction.timeline.sent(envelope, nowMs);
  }

  private publish(transaction: Transaction): void {
    const { txid, row, protocol, state } = transaction;
    const { decision, reason, decidedAtMs, finishedAtMs } = protocol.facts(state);
    const atMs = protocol.name === 'saga' ? finishedAtMs : decidedAtMs;
    if (decision === null || atMs === null) throw new Error(`transaction ${txid} has no outcome yet`);
    this.outcomes.push({ txid, protocol: protocol.name, status: outcomeOf(row, decision), reason: decision === 'COMMIT' ? null : reason, decidedAtMs: atMs });
    this.published.push(transaction);
    if (!this.isPatient(transaction)) this.hurry(transaction);
  }
}

function mayWait(record: DurableRecord): boolean {
  return (record.to === 'progress' && record.isLazy === true) || (record.to === 'decide' && record.as === 'note');
}
