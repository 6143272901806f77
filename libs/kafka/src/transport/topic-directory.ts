import kafkajs, { type Admin, type ITopicConfig, type Kafka } from 'kafkajs';
import { pauseAfter } from '../backoff.js';
import { FEW_RETRIES, NO_RETRY } from '../clients/kafkajs/connection.js';
import { KafkaConfigurationError, KafkaUnavailableError, type Settings } from '../connection/options.js';

/** How long the answer "there is no such topic" is believed. */
const ABSENT_FOR_MS = 2_000;

/** Kafka removes whole segments, and ends one after a week or a gigabyte by itself: without this a partition of any inbox would keep that much. */
const SEGMENTS_KEPT = 4;
const SHORTEST_SEGMENT_MS = 60_000;

export interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
  /** The variable that sets the count, if the count of an existing topic must be right. */
  readonly variable?: 'COORDINATOR_SHARDS' | 'PARTICIPANT_PARTITIONS';
  readonly retentionMs: number;
  readonly maxMessageBytes?: number;
}

/** Which topics exist with how many partitions; creates those that are wanted. */
export class TopicDirectory {
  private readonly known = new Map<string, number>();
  private readonly absentUntil = new Map<string, number>();

  constructor(private readonly kafka: Kafka, private readonly settings: Settings) {}

  /**
   * Creates the topics that do not exist yet. Many processes may do so at once.
   * @throws KafkaConfigurationError when one exists with another partition count
   * @throws KafkaUnavailableError when no broker answers within `startTimeoutMs`
   */
  async ensure(wanted: readonly WantedTopic[]): Promise<void> {
    const missing = wanted.filter(({ topic }) => !this.known.has(topic));
    if (missing.length === 0) return;
    const deadline = performance.now() + this.settings.startTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.withAdmin((admin) => this.createMissing(admin, missing));
      } catch (error) {
        if (isFinal(error)) throw error;
        if (performance.now() >= deadline) throw new KafkaUnavailableError(`Kafka at ${this.settings.brokers.join(', ')} did not answer within ${this.settings.startTimeoutMs} ms: ${(error as Error).message}`, { cause: error });
        this.settings.logger.debug({ err: error, attempt }, 'topics could not be checked yet');
      }
      await pauseAfter(attempt, AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now()))), { firstMs: 100, maxMs: 1_000 });
    }
  }

  /** Partition counts of those of the topics that exist. Asks the cluster only about topics that were never seen. */
  async partitionsOf(topics: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const now = performance.now();
    const unknown = [...topics].filter((topic) => !this.known.has(topic) && (this.absentUntil.get(topic) ?? 0) <= now);
    if (unknown.length > 0) await this.withAdmin((admin) => this.look(admin, unknown), NO_RETRY);
    return this.known;
  }

  /** What the cluster has, whoever created the topic: see KafkaTransport.retentionMs. */
  async retentionMs(topic: string): Promise<number | null> {
    return await this.withAdmin(async (admin) => {
      if (!(await admin.listTopics()).includes(topic)) return null;
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }] });
      const value = Number(resources[0]?.configEntries.find(({ configName }) => configName === 'retention.ms')?.configValue ?? Number.NaN);
      if (Number.isNaN(value)) return null;
      return value < 0 ? Infinity : value;
    });
  }

  /** Resolves when a broker answers. */
  async ping(): Promise<void> {
    await this.withAdmin((admin) => admin.describeCluster(), NO_RETRY);
  }

  /** After a failed send: a topic may have been deleted meanwhile. Topics are looked up again as they are used. */
  forget(): void {
    this.known.clear();
    this.absentUntil.clear();
  }

  private async createMissing(admin: Admin, wanted: readonly WantedTopic[]): Promise<void> {
    const existing = new Set(await admin.listTopics());
    const toCreate = wanted.filter(({ topic }) => !existing.has(topic));
    if (toCreate.length > 0) await create(admin, toCreate);
    const counts = await partitionCounts(admin, wanted.map(({ topic }) => topic));
    for (const { topic, partitions, variable } of wanted) {
      const count = counts.get(topic);
      if (count === undefined || count === 0) throw new Error(`topic ${topic} is not there yet`);
      if (variable !== undefined && count !== partitions) throw new KafkaConfigurationError(`${variable} is ${partitions}, but topic ${topic} has ${count} partitions; set ${variable}=${count} or use another KAFKA_TOPIC_PREFIX`);
      // A topic that was just created is listed before its leaders take records.
      await admin.fetchTopicOffsets(topic);
      this.known.set(topic, count);
    }
  }

  private async look(admin: Admin, topics: readonly string[]): Promise<void> {
    const existing = new Set(await admin.listTopics());
    for (const topic of topics) if (!existing.has(topic)) this.absentUntil.set(topic, performance.now() + ABSENT_FOR_MS);
    const present = topics.filter((topic) => existing.has(topic));
    if (present.length === 0) return;
    for (const [topic, count] of await partitionCounts(admin, present)) if (count > 0) this.known.set(topic, count);
  }

  private async withAdmin<T>(work: (admin: Admin) => Promise<T>, retry = FEW_RETRIES): Promise<T> {
    const admin = this.kafka.admin({ retry });
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect().catch(() => {});
    }
  }
}

async function create(admin: Admin, wanted: readonly WantedTopic[]): Promise<void> {
  try {
    await admin.createTopics({ topics: wanted.map(toTopicConfig), waitForLeaders: false, timeout: 5_000 });
  } catch (error) {
    // Another process was faster with some of them. Which ones is found out by reading the partition counts.
    const errors = (error as { errors?: readonly { type?: string }[] }).errors;
    if (errors === undefined || !errors.every(({ type }) => type === 'TOPIC_ALREADY_EXISTS')) throw error;
  }
}

function toTopicConfig(wanted: WantedTopic): ITopicConfig {
  // A record's time is the broker's: by its sender's it would be refused, or removed at once, where that machine's clock is wrong.
  const configEntries = [
    { name: 'retention.ms', value: String(wanted.retentionMs) },
    { name: 'segment.ms', value: String(Math.max(SHORTEST_SEGMENT_MS, Math.floor(wanted.retentionMs / SEGMENTS_KEPT))) },
    { name: 'message.timestamp.type', value: 'LogAppendTime' },
  ];
  if (wanted.maxMessageBytes !== undefined) configEntries.push({ name: 'max.message.bytes', value: String(wanted.maxMessageBytes) });
  return { topic: wanted.topic, numPartitions: wanted.partitions, configEntries };
}

async function partitionCounts(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return new Map(found.map(({ name, partitions }) => [name, partitions.length]));
}

function isFinal(error: unknown): boolean {
  const { name, message } = error as Error;
  return error instanceof KafkaConfigurationError || name === 'KafkaJSSASLAuthenticationError' || /SASL|AUTHORIZATION_FAILED|not authorized/i.test(message);
}
