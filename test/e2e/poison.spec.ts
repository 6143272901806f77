import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Kafka, logLevel, type Consumer, type KafkaMessage } from 'kafkajs';
import { checkoutRequest } from '../support/checkout.js';
import { Cluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';

let cluster: Cluster;
let kafka: Kafka;
let consumer: Consumer;
const dead: KafkaMessage[] = [];

beforeAll(async () => {
  cluster = await Cluster.start({ adminUrl: process.env.PG_ADMIN_URL!, brokers: process.env.KAFKA_BROKERS! });
  kafka = new Kafka({ brokers: process.env.KAFKA_BROKERS!.split(','), clientId: 'poisoner', logLevel: logLevel.ERROR });
  consumer = kafka.consumer({ groupId: `${cluster.topicPrefix}-undertaker` });
  await consumer.connect();
  await consumer.subscribe({ topic: `${cluster.topicPrefix}.dead-letter`, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => { dead.push(message); } });
}, 120_000);
afterAll(async () => {
  await consumer?.disconnect();
  await cluster?.stop();
}, 60_000);

const header = (message: KafkaMessage, name: string): string => String(message.headers?.[name] ?? '');
const poison = ['not json at all', '{"v":1,"sender":"x","messages":[{"kind":"EXPLODE"}]}', '{"v":99,"sender":"x","messages":[]}', '{"v":1,"sender":"x","messages":[{"kind":"VOTE","txid":"1","branch":-1,"vote":"perhaps"}]}'];

it('a poison record in any inbox is found in the dead-letter topic with origin and error, and traffic goes on', async () => {
  const producer = kafka.producer();
  await producer.connect();
  const inboxes = ['coordinator', 'orders', 'payments', 'inventory'].map((name) => `${cluster.topicPrefix}.${name}.inbox`);
  for (const topic of inboxes) {
    await producer.send({ topic, messages: Array.from({ length: 8 }, (_, partition) => poison.map((value) => ({ partition, value }))).flat() });
  }
  await producer.disconnect();

  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => cluster.call('POST', '/v1/transactions', { role: 'submit', body: checkoutRequest({ customerId: `c-${i + 1}` }) })));
  expect(answers.map((a) => a.body.status)).toEqual(answers.map(() => 'committed'));

  await eventually('all are in the dead-letter topic', async () => { if (dead.length < 8 * poison.length * inboxes.length) throw new Error(`${dead.length}`); });
  const origins = new Set(dead.map((m) => `${header(m, 'origin-topic')}/${header(m, 'origin-partition')}`));
  expect(origins.size).toBe(8 * inboxes.length);
  for (const message of dead) {
    expect(poison).toContain(message.value?.toString());
    expect(header(message, 'origin-offset')).toMatch(/^\d+$/);
    expect(header(message, 'error-code')).not.toBe('');
    expect(header(message, 'error-message')).not.toBe('');
  }
  await cluster.audit();
}, 120_000);
