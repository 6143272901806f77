import type { Message } from '#libs/protocol';
import type { InboundBatch, Subscriber } from '#libs/runtime';
import type { SimProcess } from './process.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';

export interface LogRecord {
  /** Message i of the record has id `firstId + i`. */
  readonly firstId: number;
  readonly messages: readonly Message[];
}

export interface TopicLog {
  readonly records: LogRecord[];
  /** The group's offset: everything below it is done. */
  saved: number;
  /** Everything below it was delivered to somebody. */
  deliveredTo: number;
}

export interface MemberContext {
  readonly scheduler: Scheduler;
  readonly random: Random;
  latencyMs(): number;
  /** Whether the broker takes this member's offset of the partition. */
  isCurrent(partition: number): boolean;
  delivered(id: number, isFirst: boolean): void;
  buried(message: Message, error: Error): void;
}

/** After a subscriber has refused an assignment or a batch. */
const AGAIN_MS = 100;
const SAVE_WITHIN_MS = 300;

/**
 * One subscriber's share of one inbox through all rebalances, by the rules of the production transport (libs/kafka, InboxSession): every
 * assignment starts fresh lanes behind what is done; partitions that are new wait until the subscriber has taken them; a lane's successor
 * waits for the end of its last delivery; what a closed lane still does moves no offset.
 */
export class InboxMember {
  /** Of the group, as far as this member has heard. */
  generation = 0;
  isClosed = false;
  private lanes: ReadonlyMap<number, Lane> = new Map();
  private held: ReadonlySet<number> = new Set();
  /** Of this member's own assignments. */
  private assignment = 0;
  private feed: Promise<void> = Promise.resolve();
  private willSave = false;

  constructor(
    readonly process: SimProcess, private readonly subscriber: Subscriber, private readonly logs: readonly TopicLog[], private readonly context: MemberContext,
  ) {}

  assign(partitions: readonly number[]): void {
    const before = this.lanes;
    for (const lane of before.values()) lane.close();
    const assignment = ++this.assignment;
    this.lanes = new Map(partitions.map((partition) => [partition, this.newLane(partition, before.get(partition))]));
    this.held = new Set(partitions.filter((partition) => this.held.has(partition)));
    for (const partition of this.held) this.lanes.get(partition)!.open();
    this.feed = this.feed.then(() => this.tell(partitions, assignment));
  }

  wake(partition: number): void {
    this.lanes.get(partition)?.wake();
  }

  /** How far everything is done, as far as this member knows. */
  positionOf(partition: number): number {
    return this.lanes.get(partition)?.position ?? 0;
  }

  /** Tells the broker how far everything is done. */
  save(): void {
    for (const [partition, { log, doneTo }] of this.lanes) {
      if (doneTo !== null && this.context.isCurrent(partition)) log.saved = doneTo;
    }
  }

  close(): void {
    this.isClosed = true;
    for (const lane of this.lanes.values()) lane.close();
  }

  private newLane(partition: number, before: Lane | undefined): Lane {
    const log = this.logs[partition]!;
    return new Lane(partition, log, before?.position ?? log.saved, before?.delivering ?? Promise.resolve(), this.subscriber, this.context, () => this.saveSoon());
  }

  private saveSoon(): void {
    if (this.willSave || this.isClosed) return;
    this.willSave = true;
    this.context.scheduler.in(this.context.random.next() * SAVE_WITHIN_MS, () => {
      this.willSave = false;
      if (!this.isClosed) this.save();
    });
  }

  /** One assignment at a time, each told in turn; a refused one is repeated until it is out of date. */
  private async tell(partitions: readonly number[], assignment: number): Promise<void> {
    while (!this.isClosed) {
      try {
        await this.subscriber.assigned(partitions);
        break;
      } catch {
        if (assignment !== this.assignment) return;
        await this.context.scheduler.sleep(AGAIN_MS);
        if (assignment !== this.assignment) return;
      }
    }
    if (this.isClosed || assignment !== this.assignment) return;
    const gained = partitions.filter((partition) => !this.held.has(partition));
    this.held = new Set(partitions);
    for (const partition of gained) this.lanes.get(partition)!.open();
  }
}

/** One partition for as long as this member keeps it: one delivery at a time, with some of what waits. */
class Lane {
  /** Everything below it is done; null: nothing is yet. */
  doneTo: number | null = null;
  /** Resolves when no delivery is going on. */
  delivering: Promise<void>;
  private readonly pending: { readonly end: number; isDone: boolean }[] = [];
  private next: number;
  private isOpen = false;
  private isClosed = false;
  private isBusy = false;

  constructor(
    private readonly partition: number, readonly log: TopicLog, private readonly from: number, before: Promise<void>, private readonly subscriber: Subscriber,
    private readonly context: MemberContext, private readonly onProgress: () => void,
  ) {
    this.next = from;
    this.delivering = before;
  }

  /** Where reading has to go on for nothing to be left out. */
  get position(): number {
    return this.doneTo ?? this.from;
  }

  open(): void {
    this.isOpen = true;
    this.wake();
  }

  close(): void {
    this.isClosed = true;
  }

  wake(): void {
    if (!this.isOpen || this.isClosed || this.isBusy || this.next >= this.log.records.length) return;
    this.isBusy = true;
    this.context.scheduler.in(this.context.latencyMs(), () => {
      this.delivering = this.delivering.then(() => this.deliver());
    });
  }

  private async deliver(): Promise<void> {
    const { log, context } = this;
    const count = Math.min(log.records.length - this.next, 1 + context.random.below(4));
    const records = log.records.slice(this.next, this.next + count);
    this.next += count;
    const batch = this.batchOf(records, this.next);
    while (!this.isClosed) {
      for (const { firstId, messages } of records) messages.forEach((_, i) => context.delivered(firstId + i, this.next > log.deliveredTo));
      log.deliveredTo = Math.max(log.deliveredTo, this.next);
      try {
        await this.subscriber.deliver(batch);
        break;
      } catch {
        await context.scheduler.sleep(AGAIN_MS);
      }
    }
    this.isBusy = false;
    this.wake();
  }

  private batchOf(records: readonly LogRecord[], end: number): InboundBatch {
    const stretch = { end, isDone: false };
    this.pending.push(stretch);
    return {
      partition: this.partition,
      messages: records.flatMap(({ messages }) => messages),
      done: () => {
        if (this.isClosed) return;
        stretch.isDone = true;
        this.advance();
      },
      deadLetter: async (message, error) => {
        this.context.buried(message, error);
        await this.context.scheduler.sleep(1);
        if (this.isClosed) throw new Error('the partition was taken away before the dead letter was acknowledged');
      },
    };
  }

  private advance(): void {
    while (this.pending[0]?.isDone === true) this.doneTo = this.pending.shift()!.end;
    this.onProgress();
  }
}
