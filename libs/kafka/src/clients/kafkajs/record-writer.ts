import { type Kafka, Partitioners, type Producer, type RecordMetadata, type TopicMessages } from 'kafkajs';
import { IncompleteAnswerError, type OutgoingRecord, type RecordWriter } from '../client.js';
import { NO_RETRY } from './connection.js';

export class KafkajsWriter implements RecordWriter {
  private connected: Promise<Producer> | null = null;

  constructor(private readonly kafka: Kafka) {}

  async write(records: readonly OutgoingRecord[]): Promise<void> {
    const topicMessages = byTopic(records);
    const answers = await (await (this.connected ??= this.connect())).sendBatch({ topicMessages, acks: -1 });
    requireAll(topicMessages, answers);
  }

  async close(): Promise<void> {
    await this.connected?.then((producer) => producer.disconnect()).catch(() => {});
  }

  private async connect(): Promise<Producer> {
    const producer = this.kafka.producer({ allowAutoTopicCreation: false, retry: NO_RETRY, createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return producer;
  }
}

function byTopic(records: readonly OutgoingRecord[]): TopicMessages[] {
  const topics = new Map<string, TopicMessages>();
  for (const { topic, ...message } of records) {
    let entry = topics.get(topic);
    if (entry === undefined) topics.set(topic, (entry = { topic, messages: [] }));
    entry.messages.push(message);
  }
  return [...topics.values()];
}

/** kafkajs leaves out, without an error, what belongs to partitions that its metadata does not list: that is not acknowledged. */
function requireAll(asked: readonly TopicMessages[], answers: readonly RecordMetadata[]): void {
  const answered = new Set(answers.flatMap(({ topicName, partition }) => [topicName, `${topicName}/${partition}`]));
  for (const { topic, messages } of asked) {
    for (const { partition } of messages) {
      const place = partition === undefined ? topic : `${topic}/${partition}`;
      if (!answered.has(place)) throw new IncompleteAnswerError(place);
    }
  }
}
