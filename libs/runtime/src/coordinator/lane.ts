import type { Announce, CoordinatorInput, CoordinatorTimer, Message, ToCoordinator, Txid } from '#libs/protocol';
import type { InboundBatch, TransactionView, UnavailableError, UnfinishedTransaction } from '../ports.js';
import { backoffMs, pause, QUICK_BACKOFF } from '../retry.js';
import type { DueTimer } from '../timers.js';
import { applyFlush } from './apply-flush.js';
import type { CoordinatorContext } from './context.js';
import { noShard, stopped, storeUnavailable } from './errors.js';
import { Round } from './round.js';
import type { EarlyMessage, Shard } from './shard.js';
import { Stepper } from './stepper.js';
import { Ticket } from './ticket.js';
import type { PendingBegin, Transaction } from './transaction.js';
import type { BeginRequest } from './types.js';
import { viewOf } from './view.js';

/** Undecided transactions from which on a round waits for company, and how many of them are worth a millisecond. */
const GATHER_FROM = 8;
const GATHER_PER_MS = 10;

export type ActInput = Extract<CoordinatorInput, { kind: 'CANCEL' | 'RESOLVE' | 'RETRY_NOW' }>;

export type LaneInput =
  | { readonly kind: 'begin'; readonly request: BeginRequest; readonly pending: PendingBegin }
  | { readonly kind: 'batch'; readonly batch: InboundBatch; readonly shard: Shard }
  | { readonly kind: 'messages'; readonly messages: readonly EarlyMessage[]; readonly shard: Shard }
  | { readonly kind: 'timers'; readonly due: readonly DueTimer<CoordinatorTimer>[] }
  | { readonly kind: 'act'; readonly transaction: Transaction; readonly input: ActInput; resolve(view: TransactionView | null): void }
  | { readonly kind: 'recover'; readonly shard: Shard; readonly page: readonly UnfinishedTransaction[]; stepped(): void };

/**
 * One sequence of steps and flushes for the shards that are mapped to it: everything that has arrived is stepped together,
 * ONE flush makes all records durable, then messages go to the outbox; while the flush runs the next inputs gather.
 */
export class Lane {
  private inputs: LaneInput[] = [];
  private weight = 0;
  private begins = 0;
  private round = new Round();
  private flushing: Round | null = null;
  private running: Promise<void> | null = null;
  private takeBackLazy: (() => void) | null = null;
  private roomWaiters: (() => void)[] = [];
  private isStalled = false;
  private readonly stepper: Stepper;

  constructor(readonly index: number, private readonly context: CoordinatorContext) {
    this.stepper = new Stepper(context);
  }

  /** Inputs that wait, messages counted one by one. */
  get queued(): number {
    return this.weight;
  }

  /** Callers that wait for a flush to start. */
  get queuedBegins(): number {
    return this.begins;
  }

  /** A flush runs or is about to. */
  get busy(): boolean {
    return this.running !== null;
  }

  /** The flush under way has not succeeded for storeFaultGraceMs. */
  get stalled(): boolean {
    return this.isStalled;
  }

  add(input: LaneInput): void {
    this.inputs.push(input);
    this.weight += weightOf(input);
    if (input.kind === 'begin') this.begins++;
    this.wake();
  }

  /** Resolves when the lane can take more: backpressure for deliveries. */
  room(): Promise<void> | null {
    if (this.weight <= 4 * this.context.options.maxBatch || this.context.closing.aborted) return null;
    return new Promise((resolve) => this.roomWaiters.push(resolve));
  }

  /** Flushes what waits for company; resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (!this.context.closing.aborted && (this.running !== null || this.inputs.length > 0 || this.round.size > 0)) {
      if (this.round.size > 0) this.round.urgent = true;
      this.wake();
      await this.running;
    }
  }

  /** After the driver's `closing`: whoever waits is told. Resolves when no flush is in flight. */
  async halt(): Promise<void> {
    this.takeBackLazy?.();
    this.refuseBegins(stopped());
    for (const waiter of this.roomWaiters.splice(0)) waiter();
    await this.running;
    for (const input of this.inputs.splice(0)) {
      if (input.kind === 'act') input.resolve(null);
      if (input.kind === 'recover') input.stepped();
    }
    for (const act of this.round.acts) act.resolve(null);
    this.round = new Round();
  }

  // ---------------------------------------------------------------- the loop

  private wake(): void {
    if (this.context.closing.aborted) return;
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    // What this turn of the event loop brings goes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (!this.context.closing.aborted && (this.inputs.length > 0 || this.isDue())) {
      const gatherMs = this.gatherMs();
      if (gatherMs > 0) await pause(this.context.clock, gatherMs, this.context.closing);
      try {
        this.stepInputs();
        if (this.isDue()) await this.flush();
      } catch (error) {
        this.recoverFromDefect(error);
      }
    }
    this.running = null;
    if (this.round.size > 0) this.armLazy();
  }

  /**
   * Callers who wait together come back together: with many of them under way, the few inputs that are here are the first of more, and a
   * moment's patience turns several small rounds (of flush, send and three participants' flushes) into one. None when few are under way.
   */
  private gatherMs(): number {
    const { table, options } = this.context;
    if (table.undecided < GATHER_FROM || this.weight * 2 >= table.undecided) return 0;
    return Math.min(options.gatherMs, table.undecided / GATHER_PER_MS);
  }

  private isDue(): boolean {
    return this.round.urgent || this.round.size >= this.context.options.maxBatch;
  }

  private armLazy(): void {
    const { clock, options } = this.context;
    this.takeBackLazy ??= clock.at(clock.now() + options.lazyMs, () => {
      this.takeBackLazy = null;
      this.round.urgent = true;
      this.wake();
    });
  }

  /** The memory of this lane may be wrong; what is durable is not. */
  private recoverFromDefect(error: unknown): void {
    const { observer, shards } = this.context;
    observer.error(error, `lane ${this.index}`);
    const rounds = this.flushing === null ? [this.round] : [this.flushing, this.round];
    for (const round of rounds) for (const act of round.acts) act.resolve(null);
    const tickets = rounds.flatMap((round) => round.tickets);
    this.flushing = null;
    this.round = new Round();
    shards.fenced(shards.ofLane(this), tickets);
  }

  // ---------------------------------------------------------------- stepping

  private stepInputs(): void {
    const nowMs = this.context.clock.now();
    let shard: Shard | null = null;
    for (const input of this.takeInputs()) {
      // One shard for all begins of a round, so that their PREPAREs share records.
      if (input.kind === 'begin') this.begin(input.request, input.pending, (shard ??= this.context.shards.next(this)), nowMs);
      else this.stepInput(input, nowMs);
    }
    if (this.round.size === 0) this.shipWithTickets(this.round);
    else this.stepper.ship(null);
  }

  private takeInputs(): readonly LaneInput[] {
    let weight = 0;
    let count = 0;
    for (; count < this.inputs.length && weight < this.context.options.maxBatch; count++) {
      const input = this.inputs[count]!;
      weight += weightOf(input);
      if (input.kind === 'begin') this.begins--;
    }
    this.weight -= weight;
    for (const waiter of this.roomWaiters.splice(0)) waiter();
    return this.inputs.splice(0, count);
  }

  private stepInput(input: Exclude<LaneInput, { kind: 'begin' }>, nowMs: number): void {
    switch (input.kind) {
      case 'batch':
        return this.receive(input.batch, input.shard, nowMs);
      case 'messages':
        for (const { message, ticket } of input.messages) {
          if (input.shard.state !== 'owned') this.putAside(ticket.batch, input.shard);
          else {
            this.round.tickets.push(ticket);
            this.handle(message, ticket, nowMs);
          }
        }
        return;
      case 'timers':
        for (const timer of input.due) this.fire(timer, nowMs);
        return;
      case 'act':
        return this.act(input, nowMs);
      case 'recover':
        for (const unfinished of input.page) this.recover(unfinished, input.shard, nowMs);
        return input.stepped();
    }
  }

  private begin(request: BeginRequest, pending: PendingBegin, shard: Shard | null, nowMs: number): void {
    if (shard === null) return pending.reject(noShard());
    const { protocol, branches, timeoutMs, waitFor, metadata, idempotency } = request;
    const txid = this.context.txids.make(shard.id, nowMs);
    const spec = { txid, protocol, branches, createdAtMs: nowMs, deadlineMs: nowMs + timeoutMs, waitFor };
    try {
      this.stepper.start({ spec, metadata, idempotency }, shard, pending, this.round, nowMs);
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  private recover(unfinished: UnfinishedTransaction, shard: Shard, nowMs: number): void {
    const { table, observer } = this.context;
    const { txid } = unfinished.begin.spec;
    // Begun since this tenure started.
    if (shard.state !== 'owned' || table.get(txid) !== undefined) return;
    try {
      this.stepper.recover(unfinished, shard, this.round, nowMs);
    } catch (error) {
      observer.error(error, `recover transaction ${txid}`);
    }
  }

  private receive(batch: InboundBatch, shard: Shard, nowMs: number): void {
    if (shard.state !== 'owned') return this.putAside(batch, shard);
    const ticket = new Ticket(batch, shard);
    this.round.tickets.push(ticket);
    const announces: Announce[] = [];
    for (const message of batch.messages) {
      if (message.kind === 'ANNOUNCE') announces.push(message);
      else this.handle(message, ticket, nowMs);
    }
    if (announces.length > 0) this.announce(announces, ticket);
  }

  /** For the shard's next tenure in this process. If that is elsewhere, the batch is not done and so is read again there. */
  private putAside(batch: InboundBatch, shard: Shard): void {
    const tenure = this.context.shards.get(shard.id);
    if (tenure?.state === 'fenced') tenure.undone.add(batch);
    else if (tenure !== undefined) tenure.lane.add({ kind: 'batch', batch, shard: tenure });
  }

  private handle(message: Message, ticket: Ticket, nowMs: number): void {
    if (!isForCoordinator(message)) return this.bury(message, ticket, new TypeError(`a coordinator does not take ${message.kind}`));
    const transaction = this.context.table.get(message.txid);
    if (transaction === undefined) return this.handleUnknown(message, ticket);
    try {
      this.stepper.step(transaction, { kind: 'MESSAGE', message }, this.round, nowMs);
    } catch (error) {
      this.bury(message, ticket, error as Error);
    }
  }

  /**
   * A transaction that is not in memory has ended, or never was. An in-doubt branch is answered through the register. A late
   * vote, ACK or outcome needs no answer: the decision was sent to every branch that may be prepared before END was written,
   * and a branch that missed it inquires.
   */
  private handleUnknown(message: ToCoordinator, ticket: Ticket): void {
    const { shard } = ticket;
    if (!shard.recovered) {
      ticket.hold();
      shard.early.push({ message, ticket });
    } else if (message.kind === 'INQUIRY') {
      ticket.hold();
      this.context.inquiries.add({ message, ticket });
    }
  }

  private bury(message: Message, ticket: Ticket, error: Error): void {
    const { observer } = this.context;
    observer.error(error, `message ${message.kind}`);
    ticket.hold();
    ticket.batch.deadLetter(message, error).then(() => ticket.release(), (fault: unknown) => observer.error(fault, 'dead letter'));
  }

  private announce(messages: readonly Announce[], ticket: Ticket): void {
    const { observer, onAnnounce } = this.context;
    ticket.hold();
    // A lost announcement is repeated by its sender every few seconds, so the partition does not wait for it.
    onAnnounce(messages).catch((error: unknown) => observer.error(error, 'announce')).finally(() => ticket.release());
  }

  private fire({ key, name, attempt }: DueTimer<CoordinatorTimer>, nowMs: number): void {
    const transaction = this.context.table.get(key as Txid);
    if (transaction === undefined) return;
    this.stepSafely(transaction, { kind: 'TIMER', timer: name, attempt }, nowMs);
  }

  private act({ transaction, input, resolve }: Extract<LaneInput, { kind: 'act' }>, nowMs: number): void {
    if (transaction.gone) return resolve(null);
    this.stepSafely(transaction, input, nowMs);
    if (transaction.owing) this.round.acts.push({ transaction, resolve });
    else resolve(viewOf(transaction));
  }

  private stepSafely(transaction: Transaction, input: CoordinatorInput, nowMs: number): void {
    try {
      this.stepper.step(transaction, input, this.round, nowMs);
    } catch (error) {
      this.context.observer.error(error, `step ${input.kind}`);
    }
  }

  private shipWithTickets(round: Round): void {
    const tickets = round.tickets.splice(0);
    this.stepper.ship(tickets.length === 0 ? null : () => {
      for (const ticket of tickets) ticket.release();
    });
  }

  // ---------------------------------------------------------------- flushing

  private async flush(): Promise<void> {
    this.takeBackLazy?.();
    this.takeBackLazy = null;
    const round = this.round;
    this.flushing = round;
    this.round = new Round();
    const { context, context: { clock, options } } = this;
    const startedAtMs = clock.now();
    const takeBack = clock.at(startedAtMs + options.storeFaultGraceMs, () => this.stall(round));
    try {
      const result = await this.untilDurable(round);
      if (result === 'closed') return this.abandonRound(round);
      if (result !== 'empty') applyFlush(round, result, this.round, this.stepper, context, clock.now() - startedAtMs);
      for (const { transaction, resolve } of round.acts) resolve(transaction.gone ? null : viewOf(transaction));
      this.shipWithTickets(round);
      this.flushing = null;
    } finally {
      takeBack();
      this.isStalled = false;
    }
  }

  private async untilDurable(round: Round) {
    const { store, clock, observer, closing } = this.context;
    for (let attempt = 0; ; attempt++) {
      const records = round.flush();
      if (records === null) return 'empty';
      try {
        return await store.flush(records);
      } catch (error) {
        observer.error(error, 'flush');
      }
      await pause(clock, backoffMs(attempt, QUICK_BACKOFF), closing);
      if (closing.aborted) return 'closed';
    }
  }

  private abandonRound(round: Round): void {
    for (const act of round.acts) act.resolve(null);
    this.flushing = null;
  }

  /** The store is out of reach: nobody waits for it longer than this, and what is not begun yet never will be. */
  private stall(round: Round): void {
    this.isStalled = true;
    const error = storeUnavailable(this.context.options.storeFaultGraceMs);
    this.refuseBegins(error);
    for (const transaction of round.begins) {
      if (transaction.begin === null) continue;
      transaction.abandoned = true;
      transaction.begin.reject(error);
      transaction.begin = null;
    }
    for (const { transaction, resolve } of round.acts) resolve(viewOf(transaction));
    round.acts = [];
  }

  private refuseBegins(error: UnavailableError): void {
    const kept: LaneInput[] = [];
    for (const input of this.inputs) {
      if (input.kind !== 'begin') kept.push(input);
      else input.pending.reject(error);
    }
    this.weight -= this.begins;
    this.begins = 0;
    this.inputs = kept;
  }
}

function weightOf(input: LaneInput): number {
  switch (input.kind) {
    case 'batch':
      return input.batch.messages.length;
    case 'messages':
      return input.messages.length;
    case 'timers':
      return input.due.length;
    case 'recover':
      return input.page.length;
    default:
      return 1;
  }
}

function isForCoordinator(message: Message): message is ToCoordinator {
  return message.kind === 'VOTE' || message.kind === 'ACK' || message.kind === 'INQUIRY' || message.kind === 'ONE_PHASE_OUTCOME';
}
