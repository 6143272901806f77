import type { Consumer, EachBatchPayload, IHeaders, Kafka, KafkaMessage } from 'kafkajs';
import type { Settings } from '../connection/options.js';
import type { InboxRecord } from '../inbox/dead-letter.js';
import type { InboxSession } from '../inbox/session.js';

/** Upper bound of a rebalance: a member that does not rejoin within it is left out. */
const REBALANCE_TIMEOUT_MS = 10_000;
const LEAVE_TIMEOUT_MS = 5_000;

export interface MembershipContext {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly group: string;
  readonly partitions: number;
  readonly session: InboxSession;
  readonly settings: Settings;
  /** Called whenever the group has confirmed this member. */
  alive(): void;
}

/**
 * One kafkajs consumer from its start to its end. kafkajs stops for good on errors that it takes for permanent
 * ("coordinator is loading" after a broker's start among them), so a membership ends, and another one follows.
 *
 * kafkajs (2.2.4, fetcher.js) asks for more only when every batch of the last answer has been handled, so that one slow
 * partition would hold up all others. Therefore eachBatch only hands records over to the session's lanes, which are bounded
 * by pausing single partitions, and the loop that also sends the heartbeats never waits for the subscriber.
 */
export class Membership {
  /** Resolves with the cause when this consumer is of no use any more. */
  readonly ended: Promise<unknown>;
  private readonly consumer: Consumer;
  private end!: (cause: unknown) => void;
  private isOver = false;
  private saving: Promise<void> | null = null;
  private joinedOnce = false;

  constructor(private readonly context: MembershipContext) {
    this.ended = new Promise((resolve) => {
      this.end = (cause) => {
        this.isOver = true;
        resolve(cause);
      };
    });
    const { kafka, group, settings } = context;
    this.consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: settings.sessionTimeoutMs,
      rebalanceTimeout: Math.max(REBALANCE_TIMEOUT_MS, settings.sessionTimeoutMs),
      heartbeatInterval: settings.heartbeatMs,
      maxWaitTimeInMs: Math.min(settings.fetchWaitMs, settings.heartbeatMs),
      minBytes: 1,
      allowAutoTopicCreation: false,
      // The caller makes a new consumer with its own backoff: kafkajs' own restart would race with it.
      retry: { retries: 6, initialRetryTime: 60, maxRetryTime: 500, restartOnFailure: () => Promise.resolve(false) },
    });
    this.listen();
  }

  get joined(): boolean {
    return this.joinedOnce;
  }

  start(): void {
    this.run().catch((error: unknown) => this.end(error));
  }

  /** Declares the consumer lost although kafkajs has not noticed. */
  giveUp(cause: Error): void {
    this.end(cause);
  }

  /** Saves offsets of everything that is done, if anything new is. Never rejects: what was not saved is tried again next time. */
  async save(): Promise<void> {
    if (!this.joinedOnce) return;
    this.saving ??= this.saveOnce().finally(() => {
      this.saving = null;
    });
    await this.saving;
  }

  /** Leaves the group, so that others take the partitions over at once. */
  async leave(): Promise<void> {
    this.isOver = true;
    const hurry = new AbortController();
    const timeout = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LEAVE_TIMEOUT_MS);
      hurry.signal.addEventListener('abort', () => clearTimeout(timer));
    });
    await Promise.race([this.consumer.disconnect().catch(() => {}), timeout]);
    hurry.abort();
  }

  private async run(): Promise<void> {
    const { topic, partitions } = this.context;
    await this.consumer.connect();
    await this.consumer.subscribe({ topic, fromBeginning: true });
    await this.consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: partitions,
      eachBatch: (payload) => this.handOver(payload),
    });
  }

  private listen(): void {
    const { consumer, context } = this;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.refuseIfOver();
      this.joinedOnce = true;
      context.alive();
      // Every join reads from the start positions again, even when the partitions are the same: always a new generation.
      consumer.resume([{ topic: context.topic }]);
      context.session.assign(payload.memberAssignment[context.topic] ?? []);
      this.seek();
    });
    consumer.on(consumer.events.HEARTBEAT, () => {
      this.refuseIfOver();
      context.alive();
    });
    // Emitted just before rejoining: the last moment at which this generation's offsets are accepted.
    consumer.on(consumer.events.REBALANCING, () => this.save());
    consumer.on(consumer.events.CRASH, ({ payload }) => this.end(payload.error));
  }

  /**
   * kafkajs may join again in the middle of a read from another broker, and then takes that answer for one of the new
   * generation, leaving out what lies before it. A seek makes it drop such answers.
   */
  private seek(): void {
    const { session, topic } = this.context;
    for (const partition of session.partitions) {
      const position = session.positionOf(partition);
      if (position !== null) this.consumer.seek({ topic, partition, offset: String(position) });
    }
  }

  /**
   * A consumer that is disconnected while it joins goes on in the background (kafkajs 2.2.4, runner.js), and as a member
   * that nobody listens to would keep its partitions for ever. What its listeners throw ends it.
   */
  private refuseIfOver(): void {
    if (this.isOver) throw new Error('this consumer has been replaced');
  }

  /** Resolves at once: see the class comment. */
  private async handOver({ batch }: EachBatchPayload): Promise<void> {
    this.refuseIfOver();
    this.context.session.push(batch.partition, batch.messages.map(toInboxRecord));
  }

  private async saveOnce(): Promise<void> {
    const positions = this.context.session.unsaved();
    if (positions.length === 0) return;
    const { topic, settings } = this.context;
    try {
      settings.savingOffsets?.before();
      await this.consumer.commitOffsets(positions.map(({ partition, offset }) => ({ topic, partition, offset: String(offset) })));
      settings.savingOffsets?.after();
      for (const position of positions) position.saved();
    } catch (error) {
      // Mostly a rebalance. Those records come again, which every reader can bear.
      settings.logger.debug({ topic, err: error }, 'offsets could not be saved');
    }
  }

  /** For the source's backpressure. */
  throttle(partition: number, full: boolean): void {
    if (this.isOver) return;
    const where = [{ topic: this.context.topic, partitions: [partition] }];
    try {
      if (full) this.consumer.pause(where);
      else this.consumer.resume(where);
    } catch (error) {
      // It has just crashed and will say so: its successor starts with everything resumed.
      this.context.settings.logger.debug({ ...where[0], full, err: error }, 'reading could not be throttled');
    }
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
