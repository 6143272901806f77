import type { CoordinatorRecord, CoordinatorTimer, Envelope, TimerChange, ToParticipant } from '#libs/protocol';
import type { CoordinatorFlush, TransactionView } from '../ports.js';
import type { Ticket } from './ticket.js';
import type { Transaction } from './transaction.js';

type RecordOf<Kind extends CoordinatorRecord['kind']> = Extract<CoordinatorRecord, { kind: Kind }>;

interface Entry<Kind extends CoordinatorRecord['kind']> {
  readonly transaction: Transaction;
  readonly record: RecordOf<Kind>;
}

/** What may leave, and which timers change, once the transaction's records are durable. */
export interface Owed {
  readonly transaction: Transaction;
  readonly messages: readonly Envelope<ToParticipant>[];
  readonly timers: readonly TimerChange<CoordinatorTimer>[];
  /** The messages are in the timeline already, because the END row that they wait for carries it. */
  readonly noted: boolean;
}

export interface PendingAct {
  readonly transaction: Transaction;
  resolve(view: TransactionView | null): void;
}

/** Everything that goes into one flush, and everything that waits for it. */
export class Round {
  readonly begins: Transaction[] = [];
  readonly decisions: Entry<'DECIDE'>[] = [];
  readonly ends: Entry<'END'>[] = [];
  readonly owed: Owed[] = [];
  readonly tickets: Ticket[] = [];
  acts: PendingAct[] = [];
  /** Somebody waits for it: it does not wait for company. */
  urgent = false;

  get size(): number {
    return this.begins.length + this.decisions.length + this.ends.length;
  }

  add(transaction: Transaction, record: CoordinatorRecord): void {
    transaction.owing = true;
    if (record.kind === 'BEGIN') this.begins.push(transaction);
    else if (record.kind === 'DECIDE') this.decisions.push({ transaction, record });
    else this.ends.push({ transaction, record });
  }

  /** The records of transactions that are still ours, or null when there are none. Made anew for every try. */
  flush(): CoordinatorFlush | null {
    const begins = this.begins.filter(isHere);
    const decisions = this.decisions.filter(({ transaction }) => isHere(transaction));
    const ends = this.ends.filter(({ transaction }) => isHere(transaction));
    if (begins.length + decisions.length + ends.length === 0) return null;
    const epochs = new Map<number, number>();
    for (const { shard } of begins) epochs.set(shard.id, shard.epoch);
    for (const { transaction: { shard } } of decisions) epochs.set(shard.id, shard.epoch);
    for (const { transaction: { shard } } of ends) epochs.set(shard.id, shard.epoch);
    return {
      epochs: [...epochs].map(([shard, epoch]) => ({ shard, epoch })),
      // The key of a request that its caller was told to repeat stays free for the repetition.
      begins: begins.map((transaction) => (transaction.abandoned ? { ...transaction.row, idempotency: null } : transaction.row)),
      decisions: decisions.map(({ transaction, record }) => ({ record, timeline: transaction.timeline.offer() })),
      ends: ends.map(({ transaction, record }) => ({ record, timeline: transaction.timeline.offer() })),
    };
  }
}

function isHere(transaction: Transaction): boolean {
  return !transaction.gone;
}
