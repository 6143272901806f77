import type { Envelope, ProtocolMessage, TimerChange } from '#libs/protocol';
import type { CoordinatorFlush, DecideRow, EndRow, ProgressRow, TransactionView } from '../ports.js';
import type { DurableRecord } from './protocols/protocol.js';
import type { Ticket } from './ticket.js';
import type { Transaction } from './transaction.js';

interface Entry<Row> {
  readonly transaction: Transaction;
  readonly row: Row;
}

export interface Decide extends Entry<Omit<DecideRow, 'timeline'>> {
  readonly as: Extract<DurableRecord, { to: 'decide' }>['as'];
}

/** What may leave, and which timers change, once the transaction's records are durable. */
export interface Owed {
  readonly transaction: Transaction;
  readonly messages: readonly Envelope<ProtocolMessage>[];
  readonly timers: readonly TimerChange<string>[];
  /** The messages are in the timeline already, because the END row that they wait for carries it. */
  readonly noted: boolean;
  /** Its outcome event leaves with the messages. */
  readonly publishes: boolean;
}

export interface PendingAct {
  readonly transaction: Transaction;
  resolve(view: TransactionView | null): void;
}

/** Everything that goes into one flush, and everything that waits for it. */
export class Round {
  readonly begins: Transaction[] = [];
  readonly progress: Entry<ProgressRow>[] = [];
  readonly decisions: Decide[] = [];
  readonly ends: Entry<Omit<EndRow, 'timeline'>>[] = [];
  readonly owed: Owed[] = [];
  readonly tickets: Ticket[] = [];
  acts: PendingAct[] = [];
  /** Somebody waits for it: it does not wait for company. */
  urgent = false;

  get size(): number {
    return this.begins.length + this.progress.length + this.decisions.length + this.ends.length;
  }

  add(transaction: Transaction, record: DurableRecord): void {
    switch (record.to) {
      case 'begin':
        this.begins.push(transaction);
        break;
      case 'progress':
        this.progress.push({ transaction, row: record.row });
        if (record.isLazy === true) return;
        break;
      case 'decide':
        this.decisions.push({ transaction, row: record.row, as: record.as });
        // Nothing of its transaction waits for a note.
        if (record.as === 'note') return;
        break;
      case 'end':
        this.ends.push({ transaction, row: record.row });
    }
    transaction.owes = this;
  }

  /** What was delivered is done when this round is durable, and whatever else holds it. */
  keep(ticket: Ticket): void {
    if (this.tickets.at(-1) === ticket) return;
    ticket.hold();
    this.tickets.push(ticket);
  }

  /** Each transaction once per record that it has in here. */
  * writers(): Iterable<Transaction> {
    yield* this.begins;
    for (const entries of [this.progress, this.decisions, this.ends]) for (const { transaction } of entries) yield transaction;
  }

  /** The records of transactions that are still ours, or null when there are none. Made anew for every try. */
  flush(): CoordinatorFlush | null {
    const begins = this.begins.filter(isHere);
    const progress = this.progress.filter(isOfOneHere);
    const decisions = this.decisions.filter(isOfOneHere);
    const ends = this.ends.filter(isOfOneHere);
    if (begins.length + progress.length + decisions.length + ends.length === 0) return null;
    const ending = decisions.length === 0 ? null : new Set(ends.map(({ transaction }) => transaction));
    return {
      epochs: this.epochs(),
      // The key of a request that its caller was told to repeat stays free for the repetition.
      begins: begins.map((transaction) => (transaction.abandoned ? { ...transaction.row, idempotency: null } : transaction.row)),
      progress: latest(progress),
      // What happened goes into one row: that of END, if both are written at once.
      decisions: decisions.map(({ transaction, row }) => ({ ...row, timeline: ending!.has(transaction) ? [] : transaction.timeline.offer() })),
      ends: ends.map(({ transaction, row }) => ({ ...row, timeline: transaction.timeline.offer() })),
    };
  }

  private epochs(): CoordinatorFlush['epochs'] {
    const epochs = new Map<number, number>();
    for (const transaction of this.writers()) if (!transaction.gone) epochs.set(transaction.shard.id, transaction.shard.epoch);
    return [...epochs].map(([shard, epoch]) => ({ shard, epoch }));
  }
}

/** A later row of the same transaction, kind and key replaces an earlier one: only the last is written. */
function latest(entries: readonly Entry<ProgressRow>[]): readonly ProgressRow[] {
  if (entries.length === 0) return [];
  return [...new Map(entries.map(({ row }) => [`${row.txid} ${row.kind} ${row.key}`, row])).values()];
}

function isHere(transaction: Transaction): boolean {
  return !transaction.gone;
}

function isOfOneHere({ transaction }: { readonly transaction: Transaction }): boolean {
  return !transaction.gone;
}

/** The rounds of one lane that have not been taken for a flush yet, in the order in which they will be. */
export class Rounds {
  /** Takes what is stepped now. */
  open = new Round();
  private full: Round[] = [];

  constructor(private readonly maxBatch: number) {}

  /** Rounds that are full wait for the flush before them. */
  get backlog(): number {
    return this.full.length;
  }

  get isEmpty(): boolean {
    return this.full.length === 0 && this.open.size === 0;
  }

  get isDue(): boolean {
    return this.full.length > 0 || this.open.urgent || this.open.size >= this.maxBatch;
  }

  /** A flush behind one that takes long stays of a size that the store can take. */
  sealIfFull(): void {
    if (this.open.size < this.maxBatch) return;
    this.full.push(this.open);
    this.open = new Round();
  }

  /** The next round to be flushed. */
  take(): Round {
    const next = this.full.shift();
    if (next !== undefined) return next;
    const { open } = this;
    this.open = new Round();
    return open;
  }

  /** All of them, which are forgotten. */
  clear(): readonly Round[] {
    const all = this.all();
    this.full = [];
    this.open = new Round();
    return all;
  }

  all(): readonly Round[] {
    return [...this.full, this.open];
  }
}
