import { type Envelope, type Message, shardOf } from '#libs/protocol';
import type { Inbox, OutcomeEvent, Subscriber, Subscription, Transport } from '#libs/runtime';
import type { Kafka } from 'kafkajs';
import type { KafkaClient, OutgoingRecord } from '../clients/client.js';
import { connectKafkajs } from '../clients/kafkajs/connection.js';
import { openClient } from '../clients/open.js';
import { CLOUD_EVENT_CONTENT_TYPE, toCloudEvent } from '../codec/cloud-event.js';
import { PARTICIPANT_NAME } from '../codec/fields.js';
import { Health } from '../connection/health.js';
import { KAFKA_DEFAULTS, KafkaConfigurationError, type KafkaOptions, type Settings } from '../connection/options.js';
import { silentLogger } from '../logger.js';
import { Router, undeliverableLetter } from '../routing.js';
import { type TopicNames, topicNames } from '../topics.js';
import { DeadLetterTopic } from './dead-letter-topic.js';
import { GroupConsumer } from './group-consumer.js';
import { Outbox } from './outbox.js';
import { brokerErrorType, RecordProducer } from './record-producer.js';
import { TopicDirectory, type WantedTopic } from './topic-directory.js';

/** Outcomes and dead letters are read by people and other systems, later. */
const LONG_RETENTION_FACTOR = 7;
/** A record at the default limit must still fit when the dead letter's headers are added. */
const DEAD_LETTER_MAX_BYTES = 2 * 1024 * 1024;

/** The transport over a Kafka cluster. */
export class KafkaTransport implements Transport {
  private readonly topics: TopicNames;
  private readonly directory: TopicDirectory;
  private readonly health: Health;
  private readonly producer: RecordProducer;
  private readonly deadLetters: DeadLetterTopic;
  private readonly router: Router;
  private readonly outbox: Outbox;
  private readonly consumers = new Set<GroupConsumer>();

  private constructor(private readonly settings: Settings, private readonly kafka: Kafka, private readonly client: KafkaClient) {
    this.topics = topicNames(settings.topicPrefix);
    this.directory = new TopicDirectory(kafka, settings);
    this.health = new Health(() => this.directory.ping(), settings.logger);
    this.producer = new RecordProducer(client, this.health);
    this.deadLetters = new DeadLetterTopic(this.topics.deadLetter, this.producer);
    this.router = new Router(this.topics, settings.sender);
    this.outbox = new Outbox((envelopes, outcomes) => this.ship(envelopes, outcomes), settings.logger);
  }

  /**
   * Connects and makes sure that the topics exist.
   * @throws KafkaConfigurationError when a topic has another partition count
   * @throws KafkaUnavailableError when the cluster does not answer within `startTimeoutMs`
   */
  static async create(options: KafkaOptions): Promise<KafkaTransport> {
    const settings: Settings = { ...KAFKA_DEFAULTS, logger: silentLogger, ...definedOnly(options) };
    const kafka = connectKafkajs(settings);
    const transport = new KafkaTransport(settings, kafka, await openClient(settings, kafka));
    await transport.directory.ensure(transport.wantedTopics());
    return transport;
  }

  /**
   * Repeats until the brokers have everything, however long they are away, so that a resolved send is never lost.
   * @throws MessageTooLargeError when one of the messages can never be sent; any subset of the others may have left
   * @throws UnavailableError TRANSPORT_UNAVAILABLE when the transport is closed before the brokers had everything
   */
  async send(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[] = []): Promise<void> {
    if (envelopes.length > 0 || outcomes.length > 0) await this.outbox.send(envelopes, outcomes);
  }

  async subscribe(inbox: Inbox, subscriber: Subscriber): Promise<Subscription> {
    await this.directory.ensure([this.inboxTopic(inbox)]);
    const consumer = new GroupConsumer({
      kafka: this.kafka,
      client: this.client,
      settings: this.settings,
      topic: this.topics.inbox(inbox),
      group: this.topics.group(inbox),
      role: inbox.role,
      partitions: inbox.role === 'coordinator' ? this.settings.coordinatorShards : this.settings.participantPartitions,
      subscriber,
      deadLetters: this.deadLetters,
      health: this.health,
    });
    this.consumers.add(consumer);
    consumer.start();
    return {
      close: async () => {
        if (this.consumers.delete(consumer)) await consumer.close();
      },
    };
  }

  /**
   * How long Kafka keeps records of this inbox, in milliseconds, as the topic is set now, which may be other than what this process
   * would have created it with. Infinity: for ever. Null: there is no such topic, or the cluster does not tell.
   */
  async retentionMs(inbox: Inbox): Promise<number | null> {
    return await this.directory.retentionMs(this.topics.inbox(inbox));
  }

  healthy(): boolean {
    return this.health.healthy();
  }

  async close(): Promise<void> {
    const consumers = [...this.consumers];
    this.consumers.clear();
    await Promise.all(consumers.map((consumer) => consumer.close()));
    await this.outbox.close();
    await this.producer.close();
    await this.health.close();
  }

  /** One attempt for all that waits. */
  private async ship(envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]): Promise<void> {
    const partitions = await this.partitionsFor(envelopes);
    const { records, undeliverable } = this.router.route(envelopes, partitions);
    try {
      await this.producer.write([...records, ...outcomes.map((outcome) => this.outcomeRecord(outcome)), ...undeliverable.map((envelope) => this.undeliverableRecord(envelope))]);
    } catch (error) {
      if (brokerErrorType(error) === 'UNKNOWN_TOPIC_OR_PARTITION') this.directory.forget();
      throw error;
    }
  }

  private async partitionsFor(envelopes: readonly Envelope[]): Promise<ReadonlyMap<string, number>> {
    try {
      return await this.directory.partitionsOf(this.router.destinations(envelopes));
    } catch (error) {
      this.health.failed(error);
      throw error;
    }
  }

  /** By shard, as all that is sent is: the outcomes of one flush land in one partition, and so in one append, instead of in all of them. */
  private outcomeRecord(outcome: OutcomeEvent): OutgoingRecord {
    const partition = shardOf(outcome.txid) % this.settings.coordinatorShards;
    return { topic: this.topics.outcomes, partition, key: outcome.txid, value: Buffer.from(JSON.stringify(toCloudEvent(outcome))), headers: { 'content-type': CLOUD_EVENT_CONTENT_TYPE } };
  }

  private undeliverableRecord(envelope: Envelope): OutgoingRecord {
    const { to, message } = envelope;
    this.settings.logger.warn({ to, kind: message.kind, txid: txidOf(message) }, 'no such participant: message put into the dead-letter topic');
    return this.deadLetters.recordOf(undeliverableLetter(envelope, this.topics, this.settings.sender));
  }

  private wantedTopics(): readonly WantedTopic[] {
    const { coordinatorShards, participants, retentionMs } = this.settings;
    return [
      this.inboxTopic({ role: 'coordinator' }),
      ...participants.map((name) => this.inboxTopic({ role: 'participant', name })),
      { topic: this.topics.outcomes, partitions: coordinatorShards, retentionMs: retentionMs * LONG_RETENTION_FACTOR },
      { topic: this.topics.deadLetter, partitions: 1, retentionMs: retentionMs * LONG_RETENTION_FACTOR, maxMessageBytes: DEAD_LETTER_MAX_BYTES },
    ];
  }

  private inboxTopic(inbox: Inbox): WantedTopic {
    const { coordinatorShards, participantPartitions, retentionMs } = this.settings;
    const topic = this.topics.inbox(inbox);
    if (inbox.role === 'coordinator') return { topic, partitions: coordinatorShards, variable: 'COORDINATOR_SHARDS', retentionMs };
    if (!PARTICIPANT_NAME.test(inbox.name)) throw new KafkaConfigurationError(`participant name ${JSON.stringify(inbox.name)} is not valid; it takes 1 to 100 letters, digits, dots, dashes or underscores`);
    return { topic, partitions: participantPartitions, variable: 'PARTICIPANT_PARTITIONS', retentionMs };
  }
}

function txidOf(message: Message): string | null {
  return message.kind === 'ANNOUNCE' ? null : message.txid;
}

/** An explicit undefined must not hide a default. */
function definedOnly<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
