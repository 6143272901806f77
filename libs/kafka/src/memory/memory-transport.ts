import type { Envelope } from '#libs/protocol';
import type { Inbox, OutcomeEvent, Subscriber, Subscription, Transport } from '#libs/runtime';
import { toCloudEvent, type OutcomeCloudEvent } from '../codec/cloud-event.js';
import type { DeadLetter, DeadLetterSink } from '../inbox/dead-letter.js';
import { silentLogger, type TransportLogger } from '../logger.js';
import { Router, undeliverableLetter } from '../routing.js';
import { topicNames } from '../topics.js';
import { closedError } from '../transport/outbox.js';
import { MemoryGroup } from './memory-group.js';

export interface MemoryOptions {
  readonly coordinatorShards: number;
  readonly participantPartitions: number;
  /** Default `memory/1`. */
  readonly sender?: string;
  readonly logger?: TransportLogger;
}

/** How many outcomes and dead letters are kept for readers. */
const KEEP = 10_000;

/**
 * The transport inside one process: the same codec, partitions, groups and redelivery as over Kafka, without a broker.
 * All services of the process share one instance. Nothing survives the process.
 */
export class MemoryTransport implements Transport {
  private readonly topics = topicNames('memory');
  private readonly groups = new Map<string, MemoryGroup>();
  private readonly sender: string;
  private readonly router: Router;
  private readonly letters: DeadLetter[] = [];
  private readonly events: OutcomeCloudEvent[] = [];
  private isClosed = false;

  constructor(private readonly options: MemoryOptions) {
    this.sender = options.sender ?? 'memory/1';
    this.router = new Router(this.topics, this.sender);
  }

  /** What could not be processed, the latest 10,000, oldest first. */
  get deadLetters(): readonly DeadLetter[] {
    return this.letters;
  }

  /** Outcomes as other systems would read them, the latest 10,000, oldest first. */
  get outcomes(): readonly OutcomeCloudEvent[] {
    return this.events;
  }

  async send(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[] = []): Promise<void> {
    if (this.isClosed) throw closedError();
    const counts = new Map([...this.router.destinations(envelopes)].map((topic) => [topic, this.groupOf(topic).partitions]));
    const { records, undeliverable } = this.router.route(envelopes, counts);
    for (const { topic, partition, value } of records) this.groupOf(topic).append(partition, { key: null, value, headers: {} });
    for (const envelope of undeliverable) keep(this.letters, undeliverableLetter(envelope, this.topics, this.sender));
    for (const outcome of outcomes) keep(this.events, toCloudEvent(outcome));
  }

  /** Puts any bytes into an inbox, as a foreign producer could. */
  inject(inbox: Inbox, partition: number, value: Buffer | null, headers: Readonly<Record<string, string>> = {}): void {
    this.groupOf(this.topics.inbox(inbox)).append(partition, { key: null, value, headers });
  }

  async subscribe(inbox: Inbox, subscriber: Subscriber): Promise<Subscription> {
    if (this.isClosed) throw closedError();
    return this.groupOf(this.topics.inbox(inbox)).join(subscriber);
  }

  healthy(): boolean {
    return !this.isClosed;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.groups.values()].map((group) => group.close()));
  }

  private groupOf(topic: string): MemoryGroup {
    let group = this.groups.get(topic);
    if (group === undefined) {
      const isCoordinator = topic === this.topics.coordinatorInbox;
      const partitions = isCoordinator ? this.options.coordinatorShards : this.options.participantPartitions;
      group = new MemoryGroup({ topic, role: isCoordinator ? 'coordinator' : 'participant', partitions, deadLetters: this.sink, logger: this.options.logger ?? silentLogger });
      this.groups.set(topic, group);
    }
    return group;
  }

  private readonly sink: DeadLetterSink = {
    put: async (letter) => keep(this.letters, letter),
  };
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > KEEP) list.shift();
}
