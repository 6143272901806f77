import { Kafka, logLevel } from 'kafkajs';
import { decodeRecord, encodeRecords } from '#libs/kafka';
import { type Message, type ProtocolMessage, shardOf } from '#libs/protocol';
import type { Cluster } from './cluster.js';

const PARTITIONS = 8;

/** `orders`, `payments`, ..., or `coordinator`. */
type InboxName = string;

/** The test's own way to Kafka: writes what anybody could write into an inbox, and reads what was written there. */
export class Inboxes {
  private readonly closing: (() => Promise<void>)[] = [];

  private constructor(private readonly kafka: Kafka, private readonly prefix: string) {}

  static of(cluster: Cluster): Inboxes {
    return new Inboxes(new Kafka({ brokers: process.env.KAFKA_BROKERS!.split(','), clientId: 'test', logLevel: logLevel.ERROR }), cluster.topicPrefix);
  }

  /** In this order, messages of one transaction into one partition, each as a record of its own. */
  async write(to: InboxName, messages: readonly ProtocolMessage[]): Promise<void> {
    const producer = this.kafka.producer();
    await producer.connect();
    const records = messages.flatMap((message) => encodeRecords('test/elsewhere', [message]).map((value) => ({ partition: shardOf(message.txid) % PARTITIONS, value })));
    await producer.send({ topic: `${this.prefix}.${to}.inbox`, messages: records });
    await producer.disconnect();
  }

  /** All that the inbox holds and all that comes, in a list that grows. */
  async read(from: InboxName): Promise<readonly Message[]> {
    const found: Message[] = [];
    const consumer = this.kafka.consumer({ groupId: `${this.prefix}-test-${this.closing.length}` });
    this.closing.push(() => consumer.disconnect());
    await consumer.connect();
    await consumer.subscribe({ topic: `${this.prefix}.${from}.inbox`, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => { found.push(...decodeRecord(message.value, from === 'coordinator' ? 'coordinator' : 'participant').messages); } });
    return found;
  }

  async close(): Promise<void> {
    await Promise.all(this.closing.map((close) => close()));
  }
}
