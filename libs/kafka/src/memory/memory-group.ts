import type { Subscriber, Subscription } from '#libs/runtime';
import type { InboxRole } from '../codec/decoder.js';
import type { DeadLetterSink, InboxRecord } from '../inbox/dead-letter.js';
import { InboxSession } from '../inbox/session.js';
import type { TransportLogger } from '../logger.js';

export interface MemoryGroupOptions {
  readonly topic: string;
  readonly role: InboxRole;
  readonly partitions: number;
  readonly deadLetters: DeadLetterSink;
  readonly logger: TransportLogger;
}

/** The records of one partition from the first that is not done. */
interface Log {
  records: InboxRecord[];
  nextOffset: number;
}

/** One inbox topic with its consumer group. */
export class MemoryGroup {
  private readonly logs: readonly Log[];
  private readonly members: InboxSession[] = [];
  private waiting = new Map<number, InboxRecord[]>();

  constructor(private readonly options: MemoryGroupOptions) {
    this.logs = Array.from({ length: options.partitions }, () => ({ records: [], nextOffset: 0 }));
  }

  get partitions(): number {
    return this.options.partitions;
  }

  append(partition: number, content: Omit<InboxRecord, 'offset'>): void {
    const log = this.logs[partition];
    if (log === undefined) throw new RangeError(`${this.options.topic} has no partition ${partition}`);
    const record = { ...content, offset: log.nextOffset++ };
    log.records.push(record);
    if (this.members.length === 0) return;
    // Everything that is sent before the event loop comes round travels together.
    if (this.waiting.size === 0) setImmediate(() => this.flush());
    const fresh = this.waiting.get(partition);
    if (fresh === undefined) this.waiting.set(partition, [record]);
    else fresh.push(record);
  }

  join(subscriber: Subscriber): Subscription {
    const { topic, role, deadLetters, logger } = this.options;
    const member = new InboxSession(subscriber, { topic, role, deadLetters, logger, throttle: () => {} });
    this.members.push(member);
    this.rebalance();
    return { close: async () => this.leave(member) };
  }

  async close(): Promise<void> {
    for (const member of [...this.members]) this.leave(member);
  }

  private leave(member: InboxSession): void {
    const index = this.members.indexOf(member);
    if (index < 0) return;
    this.trim();
    member.close();
    this.members.splice(index, 1);
    this.rebalance();
  }

  /** As with Kafka's eager protocol: everybody lets go, and reads again from what is saved. */
  private rebalance(): void {
    this.trim();
    this.waiting = new Map();
    this.members.forEach((member, index) => {
      const share = this.logs.map((_, partition) => partition).filter((partition) => partition % this.members.length === index);
      member.assign(share);
      for (const partition of share) member.push(partition, this.logs[partition]!.records);
    });
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = new Map();
    this.trim();
    for (const [partition, records] of waiting) this.members.find((member) => member.partitions.includes(partition))?.push(partition, records);
  }

  /** Forgets what is done. */
  private trim(): void {
    for (const member of this.members) {
      for (const position of member.unsaved()) {
        const log = this.logs[position.partition]!;
        const firstKept = log.records.findIndex((record) => record.offset >= position.offset);
        log.records.splice(0, firstKept < 0 ? log.records.length : firstKept);
        position.saved();
      }
    }
  }
}
