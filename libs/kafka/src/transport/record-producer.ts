import { type Kafka, Partitioners, type Producer, type RecordMetadata, type TopicMessages } from 'kafkajs';
import { NO_RETRY } from '../connection/client.js';
import { MessageTooLargeError } from '../codec/errors.js';
import { RECORD_TARGET_BYTES } from '../codec/record.js';
import type { Health } from '../connection/health.js';

/** Key, headers and framing of a record, about. */
const FRAMING_BYTES = 200;

/** A record to write; without a partition, the key decides (murmur2, as in every Kafka client). */
export interface OutgoingRecord {
  readonly topic: string;
  readonly partition?: number;
  readonly key?: string | Buffer;
  readonly value: Buffer | null;
  readonly headers?: Record<string, string | Buffer>;
}

/** Writes records with acks=all, in one attempt. A producer that failed is thrown away, so that no half-dead connection outlives a failure. */
export class RecordProducer {
  private current: Promise<Producer> | null = null;
  private isClosed = false;

  constructor(private readonly kafka: Kafka, private readonly health: Health) {}

  /**
   * Resolves when all records are acknowledged; a rejection means that any subset may have been written.
   * @throws MessageTooLargeError when a broker says that a record is too large for it
   */
  async write(records: readonly OutgoingRecord[]): Promise<void> {
    for (const round of inRounds(records)) await this.writeRound(round);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const producer = this.current;
    this.current = null;
    await producer?.then((p) => p.disconnect()).catch(() => {});
  }

  private async writeRound(topicMessages: TopicMessages[]): Promise<void> {
    if (this.isClosed) throw new Error('the transport is closed');
    const producer = (this.current ??= this.connect());
    try {
      const answers = await (await producer).sendBatch({ topicMessages, acks: -1 });
      this.health.succeeded();
      requireAll(topicMessages, answers);
    } catch (error) {
      if (brokerErrorType(error) === null) this.discard(producer);
      if (!isAnswer(error)) this.health.failed(error);
      throw isTooLarge(error) ? tooLarge(topicMessages, error) : error;
    }
  }

  private async connect(): Promise<Producer> {
    const producer = this.kafka.producer({ allowAutoTopicCreation: false, retry: NO_RETRY, createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return producer;
  }

  private discard(failed: Promise<Producer>): void {
    if (this.current === failed) this.current = null;
    void failed.then((producer) => producer.disconnect()).catch(() => {});
  }
}

/** kafkajs leaves out, without an error, what belongs to partitions that its metadata does not list: that is not acknowledged. */
class IncompleteAnswerError extends Error {}

function requireAll(asked: readonly TopicMessages[], answers: readonly RecordMetadata[]): void {
  const answered = new Set(answers.flatMap(({ topicName, partition }) => [topicName, `${topicName}/${partition}`]));
  for (const { topic, messages } of asked) {
    for (const { partition } of messages) {
      const place = partition === undefined ? topic : `${topic}/${partition}`;
      if (!answered.has(place)) throw new IncompleteAnswerError(`no broker has acknowledged the records for ${place}`);
    }
  }
}

const ANSWERS_OF_A_LIVING_BROKER: readonly (string | null)[] = ['UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'];

/** The broker answered and said no: it is not out of reach. */
function isAnswer(error: unknown): boolean {
  return error instanceof IncompleteAnswerError || isTooLarge(error) || ANSWERS_OF_A_LIVING_BROKER.includes(brokerErrorType(error));
}

/** The broker does not take records of this size. */
function isTooLarge(error: unknown): boolean {
  return ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].includes(brokerErrorType(error) ?? '');
}

function tooLarge(asked: readonly TopicMessages[], cause: unknown): MessageTooLargeError {
  const sizes = asked.flatMap(({ topic, messages }) => messages.map(({ value }) => ({ topic, bytes: value?.length ?? 0 })));
  const { topic, bytes } = sizes.reduce((largest, each) => (each.bytes > largest.bytes ? each : largest));
  return MessageTooLargeError.fromBroker(cause, topic, bytes);
}

/** The protocol error type, e.g. MESSAGE_TOO_LARGE, however deep kafkajs has wrapped it. */
export function brokerErrorType(error: unknown): string | null {
  for (let e = error as { type?: unknown; cause?: unknown } | undefined; e !== undefined && e !== null; e = e.cause as typeof e) {
    if (typeof e.type === 'string') return e.type;
  }
  return null;
}

/**
 * kafkajs writes all records of one request and partition as one batch, and the broker's size limit is for the batch. So
 * what is too much for one request goes in several, one after the other; nearly always there is one.
 */
function inRounds(records: readonly OutgoingRecord[]): TopicMessages[][] {
  const rounds: Map<string, TopicMessages>[] = [];
  const filled = new Map<string, { round: number; bytes: number }>();
  for (const { topic, ...message } of records) {
    const place = `${topic}/${message.partition ?? ''}`;
    const bytes = (message.value?.length ?? 0) + FRAMING_BYTES;
    const fill = filled.get(place) ?? { round: 0, bytes: 0 };
    if (fill.bytes > 0 && fill.bytes + bytes > RECORD_TARGET_BYTES + 4096) filled.set(place, Object.assign(fill, { round: fill.round + 1, bytes: 0 }));
    fill.bytes += bytes;
    filled.set(place, fill);
    const round = (rounds[fill.round] ??= new Map());
    let entry = round.get(topic);
    if (entry === undefined) round.set(topic, (entry = { topic, messages: [] }));
    entry.messages.push(message);
  }
  return rounds.map((round) => [...round.values()]);
}
