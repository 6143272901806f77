import type { UnavailableError } from '../ports.js';
import { backoffMs, pause, QUICK_BACKOFF } from '../retry.js';
import { applyFlush } from './apply-flush.js';
import type { CoordinatorContext } from './context.js';
import { stopped, storeUnavailable } from './errors.js';
import { Receiver, type BeginInput, type PromptInput, type RecoverInput } from './receiver.js';
import { Rounds, type Round } from './round.js';
import { Stepper } from './stepper.js';
import { viewOf } from './view.js';

/** Undecided transactions from which on a round waits for company, and how many of them are worth a millisecond. */
const GATHER_FROM = 8;
const GATHER_PER_MS = 10;
/** What nobody waits for waits longer then: the next round of the others takes it along. */
const BUSY_FACTOR = 5;

export type LaneInput = BeginInput | RecoverInput | PromptInput;

/**
 * One sequence of flushes for the shards that are mapped to it. Everything that has arrived is stepped together, and goes on being
 * stepped while a flush is in flight, however long that takes: its records gather for the next flush, its messages leave as soon as no
 * record of the same transaction waits. Begins and pages of recovery, which only a flush can move on, wait for the next one to start:
 * one page and as many begins as fit each time, so that neither keeps the other waiting.
 */
export class Lane {
  private inputs: PromptInput[] = [];
  private begins: BeginInput[] = [];
  private pages: RecoverInput[] = [];
  private weight = 0;
  /** What was stepped while a flush was in flight, for `gatherMs`. */
  private gathered = 0;
  private flushing: Round | null = null;
  private flight: Promise<void> = Promise.resolve();
  private running: Promise<void> | null = null;
  private takeBackLazy: (() => void) | null = null;
  private roomWaiters: (() => void)[] = [];
  private idleWaiters: (() => void)[] = [];
  private readonly rounds: Rounds;
  private readonly stepper: Stepper;
  private readonly receiver: Receiver;

  constructor(readonly index: number, private readonly context: CoordinatorContext) {
    this.rounds = new Rounds(context.options.maxBatch);
    this.stepper = new Stepper(context, (transactions) => this.add({ kind: 'told', transactions }));
    this.receiver = new Receiver(context, this.stepper, this.rounds);
  }

  /** Inputs that wait, messages counted one by one. */
  get queued(): number {
    return this.weight + this.begins.length;
  }

  /** Callers that wait for a flush to start. */
  get queuedBegins(): number {
    return this.begins.length;
  }

  /** Something is under way that is likely to send soon. */
  get busy(): boolean {
    return this.running !== null || (this.flushing !== null && !this.stalled);
  }

  /** The flush under way has not succeeded for storeFaultGraceMs. */
  get stalled(): boolean {
    return this.stepper.storeAway;
  }

  add(input: LaneInput): void {
    if (input.kind === 'begin') this.begins.push(input);
    else if (input.kind === 'recover') this.pages.push(input);
    else {
      this.inputs.push(input);
      this.weight += weightOf(input);
    }
    this.wake();
  }

  /** Resolves when the lane can take more: backpressure for deliveries. */
  room(): Promise<void> | null {
    if (this.weight <= 4 * this.context.options.maxBatch || this.context.closing.aborted) return null;
    return new Promise((resolve) => this.roomWaiters.push(resolve));
  }

  /** Flushes what waits for company; resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (!this.context.closing.aborted && !this.isIdle()) {
      this.rounds.open.urgent ||= this.rounds.open.size > 0;
      this.wake();
      await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
    }
  }

  /** After the driver's `closing`: whoever waits is told. Resolves when no flush is in flight. */
  async halt(): Promise<void> {
    this.takeBackLazy?.();
    this.refuseBegins(stopped());
    for (const waiter of [...this.roomWaiters.splice(0), ...this.idleWaiters.splice(0)]) waiter();
    await this.running;
    await this.flight;
    for (const input of this.inputs.splice(0)) if (input.kind === 'act') input.resolve(null);
    for (const page of this.pages.splice(0)) page.stepped();
    this.giveUpActs(this.rounds.clear());
  }

  // ---------------------------------------------------------------- the loop

  private wake(isFresh = true): void {
    if (this.context.closing.aborted) return;
    this.running ??= this.run(isFresh);
  }

  private async run(isFresh: boolean): Promise<void> {
    // What this turn of the event loop brings goes along.
    await (isFresh ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve());
    while (!this.context.closing.aborted && this.hasWork()) {
      const gatherMs = this.gatherMs();
      if (gatherMs > 0) await pause(this.context.clock, gatherMs, this.context.closing);
      try {
        this.turn();
      } catch (error) {
        this.recoverFromDefect(error);
      }
    }
    this.running = null;
    this.rest();
  }

  private turn(): void {
    if (this.context.closing.aborted) return;
    this.stepInputs();
    if (this.flushing === null && this.rounds.backlog === 0) this.stepHeavy();
    this.receiver.ship();
    if (this.flushing !== null) return;
    this.gathered = 0;
    if (this.rounds.isDue) this.flight = this.fly(this.rounds.take());
  }

  /** Nothing more to do for now; the flush that is in flight, if one is, ends here too. */
  private rest(): void {
    if (this.flushing !== null) return;
    for (const waiter of this.idleWaiters.splice(0)) waiter();
    if (!this.rounds.isEmpty && !this.context.closing.aborted) this.armLazy();
  }

  private hasWork(): boolean {
    if (this.inputs.length > 0) return true;
    return this.flushing === null && (this.begins.length > 0 || this.pages.length > 0 || this.rounds.isDue);
  }

  private isIdle(): boolean {
    return this.running === null && this.flushing === null && !this.hasWork() && this.rounds.isEmpty;
  }

  /**
   * Callers who wait together come back together: with many of them under way, the few inputs that are here are the first of more, and a
   * moment's patience turns several small rounds (of flush, send and three participants' flushes) into one. None when few are under way.
   */
  private gatherMs(): number {
    const { table, options } = this.context;
    if (this.flushing !== null || table.undecided < GATHER_FROM || (this.queued + this.gathered) * 2 >= table.undecided) return 0;
    return Math.min(options.gatherMs, table.undecided / GATHER_PER_MS);
  }

  private armLazy(): void {
    const { clock, options, table } = this.context;
    const waitMs = options.lazyMs * (table.undecided < GATHER_FROM ? 1 : BUSY_FACTOR);
    this.takeBackLazy ??= clock.at(clock.now() + waitMs, () => {
      this.takeBackLazy = null;
      this.rounds.open.urgent = true;
      this.wake();
    });
  }

  /** The memory of this lane may be wrong; what is durable is not. */
  private recoverFromDefect(error: unknown): void {
    const { observer, shards } = this.context;
    observer.error(error, `lane ${this.index}`);
    const rounds = [...(this.flushing === null ? [] : [this.flushing]), ...this.rounds.clear()];
    this.giveUpActs(rounds);
    const tickets = [...this.receiver.undone(), ...rounds.flatMap((round) => round.tickets.splice(0))];
    shards.defective(shards.ofLane(this), tickets);
  }

  private giveUpActs(rounds: readonly Round[]): void {
    for (const round of rounds) for (const act of round.acts.splice(0)) act.resolve(null);
  }

  // ---------------------------------------------------------------- stepping

  private stepInputs(): void {
    const inputs = this.takeInputs();
    for (const [at, input] of inputs.entries()) {
      try {
        this.receiver.take(input);
      } catch (error) {
        for (const later of inputs.slice(at + 1)) this.add(later);
        throw error;
      }
      this.gathered += weightOf(input);
      this.rounds.sealIfFull();
    }
  }

  private takeInputs(): readonly PromptInput[] {
    let weight = 0;
    let count = 0;
    for (; count < this.inputs.length && weight < this.context.options.maxBatch; count++) weight += weightOf(this.inputs[count]!);
    this.weight -= weight;
    for (const waiter of this.roomWaiters.splice(0)) waiter();
    return this.inputs.splice(0, count);
  }

  /** Right before a flush. */
  private stepHeavy(): void {
    const { shards, options } = this.context;
    const page = this.pages.shift();
    if (page !== undefined) this.receiver.recover(page);
    for (const begin of this.begins.splice(0, options.maxBatch)) this.receiver.begin(begin, () => shards.next(this));
  }

  // ---------------------------------------------------------------- flushing

  private async fly(round: Round): Promise<void> {
    this.takeBackLazy?.();
    this.takeBackLazy = null;
    this.flushing = round;
    const { context, context: { clock, options } } = this;
    const startedMs = clock.elapsed();
    const takeBack = clock.at(clock.now() + options.storeFaultGraceMs, () => this.stall(round));
    try {
      const result = await this.untilDurable(round);
      this.stepper.storeAway = false;
      if (result === 'closed') this.giveUpActs([round]);
      else {
        if (result !== 'empty') applyFlush(round, result, { rounds: this.rounds, stepper: this.stepper, context }, clock.elapsed() - startedMs);
        for (const { transaction, resolve } of round.acts) resolve(transaction.gone ? null : viewOf(transaction));
        this.receiver.shipWith(round.tickets);
      }
    } catch (error) {
      this.recoverFromDefect(error);
    } finally {
      takeBack();
      this.flushing = null;
    }
    if (this.hasWork()) this.wake(false);
    else if (this.running === null) this.rest();
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

  /** The store is out of reach: nobody waits for it longer than this, and what is not begun yet never will be. */
  private stall(round: Round): void {
    this.stepper.storeAway = true;
    const error = storeUnavailable(this.context.options.storeFaultGraceMs);
    this.refuseBegins(error);
    for (const transaction of round.begins) {
      if (transaction.begin === null) continue;
      transaction.abandoned = true;
      transaction.begin.reject(error);
      transaction.begin = null;
    }
    for (const { acts } of [round, ...this.rounds.all()]) {
      for (const { transaction, resolve } of acts.splice(0)) resolve(transaction.gone ? null : viewOf(transaction));
    }
  }

  private refuseBegins(error: UnavailableError): void {
    for (const { pending } of this.begins.splice(0)) {
      this.context.admission.leave(pending.participants, null);
      pending.reject(error);
    }
  }
}

function weightOf(input: PromptInput): number {
  switch (input.kind) {
    case 'batch':
      return input.batch.messages.length;
    case 'messages':
      return input.messages.length;
    case 'timers':
      return input.due.length;
    case 'told':
      return input.transactions.length;
    case 'act':
      return 1;
  }
}
