import type { Consumer, EachBatchPayload, IHeaders, Kafka, KafkaMessage } from 'kafkajs';
import type { InboxRecord } from '../../inbox/dead-letter.js';
import type { TransportLogger } from '../../logger.js';
import type { GroupMember, MemberEvents, MemberOptions, PartitionOffset } from '../client.js';

/** kafkajs sends heartbeats between reads only: the default interval of these, so that each empty read is followed by one. */
const FETCH_WAIT_MS = 250;

/**
 * One kafkajs consumer. kafkajs stops for good on errors that it takes for permanent ("coordinator is loading" after a
 * broker's start among them).
 *
 * kafkajs (2.2.4, fetcher.js) asks for more only when every batch of the last answer has been handled, so that one slow
 * partition would hold up all others. Therefore eachBatch only hands records over, and the loop that also sends the heartbeats
 * never waits for whoever takes them.
 */
export class KafkajsMember implements GroupMember {
  private readonly consumer: Consumer;
  private hasLeft = false;

  constructor(kafka: Kafka, private readonly options: MemberOptions, private readonly events: MemberEvents, private readonly logger: TransportLogger) {
    this.consumer = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: options.rebalanceTimeoutMs,
      heartbeatInterval: options.heartbeatMs,
      maxWaitTimeInMs: Math.min(options.fetchWaitMs ?? FETCH_WAIT_MS, options.heartbeatMs),
      minBytes: 1,
      allowAutoTopicCreation: false,
      // The caller makes a new consumer with its own backoff: kafkajs' own restart would race with it.
      retry: { retries: 6, initialRetryTime: 60, maxRetryTime: 500, restartOnFailure: () => Promise.resolve(false) },
    });
    this.listen();
  }

  start(): void {
    this.run().catch((error: unknown) => this.events.lost(error));
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<void> {
    const { topic } = this.options;
    await this.consumer.commitOffsets(offsets.map(({ partition, offset }) => ({ topic, partition, offset: String(offset) })));
  }

  throttle(partition: number, full: boolean): void {
    const where = [{ topic: this.options.topic, partitions: [partition] }];
    try {
      if (full) this.consumer.pause(where);
      else this.consumer.resume(where);
    } catch (error) {
      // It has just crashed and will say so: its successor starts with everything resumed.
      this.logger.debug({ ...where[0], full, err: error }, 'reading could not be throttled');
    }
  }

  async leave(): Promise<void> {
    this.hasLeft = true;
    await this.consumer.disconnect();
  }

  private async run(): Promise<void> {
    const { topic, partitions } = this.options;
    await this.consumer.connect();
    await this.consumer.subscribe({ topic, fromBeginning: true });
    await this.consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: partitions,
      eachBatch: (payload) => this.handOver(payload),
    });
  }

  private listen(): void {
    const { consumer, events, options: { topic } } = this;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.refuseIfLeft();
      events.alive();
      consumer.resume([{ topic }]);
      // kafkajs may join again in the middle of a read from another broker, and then takes that answer for one of the new
      // generation, leaving out what lies before it. A seek makes it drop such answers.
      for (const { partition, offset } of events.joined(payload.memberAssignment[topic] ?? [])) consumer.seek({ topic, partition, offset: String(offset) });
    });
    consumer.on(consumer.events.HEARTBEAT, () => {
      this.refuseIfLeft();
      events.alive();
    });
    // Emitted just before rejoining.
    consumer.on(consumer.events.REBALANCING, () => events.rebalancing());
    consumer.on(consumer.events.CRASH, ({ payload }) => events.lost(payload.error));
  }

  /**
   * A consumer that is disconnected while it joins goes on in the background (kafkajs 2.2.4, runner.js), and as a member
   * that nobody listens to would keep its partitions for ever. What its listeners throw ends it.
   */
  private refuseIfLeft(): void {
    if (this.hasLeft) throw new Error('this consumer has been replaced');
  }

  /** Resolves at once: see the class comment. */
  private async handOver({ batch }: EachBatchPayload): Promise<void> {
    this.refuseIfLeft();
    this.events.read(batch.partition, batch.messages.map(toInboxRecord));
  }
}

function toInboxRecord({ offset, key, value, headers }: KafkaMessage): InboxRecord {
  return { offset: Number(offset), key, value, headers: firstOfEach(headers) };
}

function firstOfEach(headers: IHeaders | undefined): Record<string, string | Buffer> {
  const result: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) result[name] = first;
  }
  return result;
}
