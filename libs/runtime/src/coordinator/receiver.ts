import { protocolOf, type Announce, type Inquiry, type Message, type ProtocolMessage, type SagaSpec, type TransactionSpec, type Txid } from '#libs/protocol';
import type { BeginRow, InboundBatch, TransactionView, UnfinishedTransaction } from '../ports.js';
import type { DueTimer } from '../timers.js';
import type { CoordinatorContext } from './context.js';
import { noShard } from './errors.js';
import type { ActInput, ProtocolInput } from './protocols/protocol.js';
import type { Round, Rounds } from './round.js';
import type { EarlyMessage, Shard } from './shard.js';
import type { Stepper } from './stepper.js';
import { Ticket } from './ticket.js';
import type { PendingBegin, Transaction } from './transaction.js';
import type { BeginRequest } from './types.js';
import { viewOf } from './view.js';

export interface BeginInput {
  readonly kind: 'begin';
  readonly request: BeginRequest;
  readonly pending: PendingBegin;
}

export interface RecoverInput {
  readonly kind: 'recover';
  readonly shard: Shard;
  readonly page: readonly UnfinishedTransaction[];
  stepped(): void;
}

/** What is stepped as it comes, also while a flush is in flight or the store is away. */
export type PromptInput =
  | { readonly kind: 'batch'; readonly batch: InboundBatch; readonly shard: Shard }
  | { readonly kind: 'messages'; readonly messages: readonly EarlyMessage[]; readonly shard: Shard }
  | { readonly kind: 'timers'; readonly due: readonly DueTimer<string>[] }
  | { readonly kind: 'told'; readonly transactions: readonly Transaction[] }
  | { readonly kind: 'act'; readonly transaction: Transaction; readonly input: ActInput; resolve(view: TransactionView | null): void };

/** Puts what arrives into the machines: each input to the transaction that it is about, or to where such without one go. */
export class Receiver {
  /** What was taken in since the last `ship`. */
  private tickets: Ticket[] = [];
  /** The shard for all begins of one round, so that their PREPAREs share records. */
  private home: Shard | null = null;

  constructor(private readonly context: CoordinatorContext, private readonly stepper: Stepper, private readonly rounds: Rounds) {}

  take(input: PromptInput): void {
    switch (input.kind) {
      case 'batch':
        return this.receive(input.batch, input.shard);
      case 'messages':
        for (const { message, ticket } of input.messages) this.receiveEarly(message, ticket, input.shard);
        return;
      case 'timers':
        for (const timer of input.due) this.fire(timer);
        return;
      case 'told':
        for (const transaction of input.transactions) this.stepper.end(transaction, this.rounds.open);
        return;
      case 'act':
        return this.act(input);
    }
  }

  /** @param next gives the shard for the begins of a round. */
  begin({ request, pending }: BeginInput, next: () => Shard | null): void {
    this.context.admission.leave(pending.participants, null);
    const shard = (this.home ??= next());
    if (shard === null) return pending.reject(noShard());
    try {
      this.stepper.start(this.rowOf(request, shard), shard, pending, this.rounds.open);
    } catch (error) {
      pending.reject(error as Error);
    }
  }

  recover({ shard, page, stepped }: RecoverInput): void {
    for (const unfinished of page) this.recoverOne(unfinished, shard);
    stepped();
  }

  /** What was stepped since the last call leaves; what was delivered is done then, unless a round keeps it. */
  ship(): void {
    this.home = null;
    this.shipWith(this.tickets.splice(0));
  }

  /** The tickets are let go of when everything up to now is sent. */
  shipWith(tickets: readonly Ticket[]): void {
    this.stepper.ship(tickets.length === 0 ? null : () => {
      for (const ticket of tickets) ticket.release();
    });
  }

  /** After a defect: what was taken in and is not done. */
  undone(): readonly Ticket[] {
    return this.tickets.splice(0);
  }

  // ---------------------------------------------------------------- new and old transactions

  /** A single branch decides alone, which is what two-phase commit makes of it; there is nothing for the other protocols to agree on. */
  private rowOf(request: BeginRequest, shard: Shard): BeginRow {
    const { options, clock, txids } = this.context;
    const nowMs = clock.now();
    const { timeoutMs, waitFor, metadata, idempotency } = request;
    const txid = txids.make(shard.id, nowMs);
    const deadlineMs = nowMs + timeoutMs;
    if (request.protocol === 'saga') {
      const { steps, compensationTimeoutMs, attentionAfterAttempts } = request;
      const spec: SagaSpec = { txid, createdAtMs: nowMs, deadlineMs, waitFor, protocol: 'saga', steps, compensationTimeoutMs, attentionAfterAttempts };
      return { spec, acceptors: [], metadata, idempotency };
    }
    const { branches } = request;
    const protocol = branches.length === 1 ? '2pc' : request.protocol;
    const spec: TransactionSpec = { txid, createdAtMs: nowMs, deadlineMs, waitFor, protocol, branches };
    return { spec, acceptors: protocol === 'paxos-commit' ? options.acceptors : [], metadata, idempotency };
  }

  private recoverOne(unfinished: UnfinishedTransaction, shard: Shard): void {
    const { table, observer } = this.context;
    const { txid } = unfinished.begin.spec;
    // Begun since this tenure started.
    if (shard.state !== 'owned' || table.get(txid) !== undefined) return;
    try {
      this.stepper.recover(unfinished, shard, this.rounds.open);
    } catch (error) {
      observer.error(error, `recover transaction ${txid}`);
    }
  }

  // ---------------------------------------------------------------- messages

  private receive(batch: InboundBatch, shard: Shard): void {
    if (shard.state !== 'owned') return this.putAside(batch, shard);
    const ticket = new Ticket(batch, shard);
    this.tickets.push(ticket);
    const announces: Announce[] = [];
    for (const message of batch.messages) {
      if (message.kind === 'ANNOUNCE') announces.push(message);
      else this.handle(message, ticket);
    }
    if (announces.length > 0) this.announce(announces, ticket);
  }

  private receiveEarly(message: Message, ticket: Ticket, shard: Shard): void {
    if (shard.state !== 'owned') return this.putAside(ticket.batch, shard);
    this.tickets.push(ticket);
    if (message.kind !== 'ANNOUNCE') this.handle(message, ticket);
  }

  /** For the shard's next tenure in this process. If that is elsewhere, the batch is not done and so is read again there. */
  private putAside(batch: InboundBatch, shard: Shard): void {
    const tenure = this.context.shards.get(shard.id);
    if (tenure?.state === 'fenced') tenure.undone.add(batch);
    else if (tenure !== undefined) tenure.lane.add({ kind: 'batch', batch, shard: tenure });
  }

  private handle(message: ProtocolMessage, ticket: Ticket): void {
    const { table, protocols, observer } = this.context;
    const transaction = table.get(message.txid);
    try {
      const protocol = protocols[protocolOf(message)];
      if (!protocol.takes.has(message.kind)) throw new TypeError(`a coordinator of ${protocol.name} does not take ${message.kind}`);
      if (transaction === undefined) return this.handleUnknown(message, ticket);
      if (transaction.protocol !== protocol) throw new TypeError(`${message.kind} of ${protocol.name} is about a transaction of ${transaction.protocol.name}`);
      this.stepper.step(transaction, { kind: 'MESSAGE', message }, this.rounds.open)?.keep(ticket);
    } catch (error) {
      ticket.bury(message, error as Error, observer);
    }
  }

  /** A transaction that is not in memory has ended, or never was; or it is still to be loaded. */
  private handleUnknown(message: ProtocolMessage, ticket: Ticket): void {
    const { protocols, inquiries } = this.context;
    const { shard } = ticket;
    if (!shard.recovered) {
      ticket.hold();
      shard.early.push({ message, ticket });
      return;
    }
    const what = protocols[protocolOf(message)].whenEnded(message);
    if (what === 'presume-abort') inquiries.presume({ message: message as Inquiry, ticket });
    else if (what === 'look-up') inquiries.ask({ message, ticket });
  }

  private announce(messages: readonly Announce[], ticket: Ticket): void {
    const { observer, onAnnounce } = this.context;
    ticket.hold();
    // A lost announcement is repeated by its sender every few seconds, so the partition does not wait for it.
    onAnnounce(messages).catch((error: unknown) => observer.error(error, 'announce')).finally(() => ticket.release());
  }

  // ---------------------------------------------------------------- timers and people

  private fire({ key, name, attempt }: DueTimer<string>): void {
    const transaction = this.context.table.get(key as Txid);
    if (transaction !== undefined) this.stepSafely(transaction, { kind: 'TIMER', timer: name, attempt });
  }

  private act({ transaction, input, resolve }: Extract<PromptInput, { kind: 'act' }>): void {
    if (transaction.gone) return resolve(null);
    const { heldEnd } = transaction;
    const owed = this.stepSafely(transaction, input);
    if (owed === null && transaction.heldEnd !== heldEnd) return this.awaitEnd(transaction, resolve);
    const round = owed ?? transaction.owes;
    if (round === null || this.stepper.storeAway) resolve(viewOf(transaction));
    else round.acts.push({ transaction, resolve });
  }

  /** All its effect is END, which waits for the outcome event. */
  private awaitEnd(transaction: Transaction, resolve: (view: TransactionView | null) => void): void {
    const { waiters, options } = this.context;
    void waiters.wait(transaction, 'finished', options.storeFaultGraceMs).then(resolve);
    this.stepper.hurry(transaction);
  }

  private stepSafely(transaction: Transaction, input: ProtocolInput): Round | null {
    try {
      return this.stepper.step(transaction, input, this.rounds.open);
    } catch (error) {
      this.context.observer.error(error, `step ${input.kind}`);
      return null;
    }
  }
}
