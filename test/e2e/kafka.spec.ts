import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { ConfigResourceTypes, type Consumer, Kafka, type KafkaMessage, logLevel, Partitioners } from 'kafkajs';
import { DeadLetterHeader, encodeRecords, type KafkaClientName, type KafkaOptions, KafkaTransport } from '#libs/kafka';
import { makeTxid, type Message, type ProtocolMessage, shardOf, type Txid } from '#libs/protocol';
import type { InboundBatch, Inbox, Subscriber, Subscription } from '#libs/runtime';
import { eventually } from '../support/eventually.js';

const SHARDS = 4;
const COORDINATOR: Inbox = { role: 'coordinator' };
const PAYMENTS: Inbox = { role: 'participant', name: 'payments' };
const brokers = (): string[] => process.env.KAFKA_BROKERS!.split(',');

let prefix: string;
let client: KafkaClientName;
let processes = 0;
let closers: (() => Promise<unknown>)[];

beforeEach(() => {
  prefix = `t${randomBytes(5).toString('hex')}`;
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
}, 60_000);

async function connect(options: Partial<KafkaOptions> = {}): Promise<KafkaTransport> {
  const transport = await KafkaTransport.create({
    client, brokers: brokers(), clientId: `test-${++processes}`, sender: 'test/1', topicPrefix: prefix, coordinatorShards: SHARDS, participantPartitions: SHARDS, participants: ['payments'],
    sessionTimeoutMs: 3_000, heartbeatMs: 300, ...options,
  });
  closers.push(() => transport.close());
  return transport;
}

function rawKafka(): Kafka {
  return new Kafka({ brokers: brokers(), clientId: 'outsider', logLevel: logLevel.NOTHING });
}

/** Writes bytes past the transport. */
async function produce(topic: string, partition: number, values: readonly (Buffer | string | null)[]): Promise<void> {
  const producer = rawKafka().producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic, messages: values.map((value, i) => ({ partition, value: value as Buffer | null, headers: { number: String(i) } })) });
  await producer.disconnect();
}

/** Everything that is and will be in a topic. */
async function readAll(topic: string): Promise<{ partition: number; message: KafkaMessage }[]> {
  const found: { partition: number; message: KafkaMessage }[] = [];
  const consumer: Consumer = rawKafka().consumer({ groupId: `${prefix}-reader-${topic}`, maxWaitTimeInMs: 200 });
  closers.push(() => consumer.disconnect());
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition, message }) => { found.push({ partition, message }); } });
  return found;
}

async function withAdmin<T>(work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = rawKafka().admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

class Recorder implements Subscriber {
  readonly assignments: (readonly number[])[] = [];
  readonly batches: InboundBatch[] = [];

  constructor(private readonly onBatch: (batch: InboundBatch) => void | Promise<void> = (batch) => batch.done()) {}

  get partitions(): readonly number[] {
    return [...(this.assignments.at(-1) ?? [])].sort();
  }

  get messages(): readonly ProtocolMessage[] {
    return this.batches.flatMap((batch) => batch.messages) as ProtocolMessage[];
  }

  get txids(): readonly Txid[] {
    return this.messages.map(({ txid }) => txid);
  }

  async assigned(partitions: readonly number[]): Promise<void> {
    this.assignments.push(partitions);
  }

  async deliver(batch: InboundBatch): Promise<void> {
    this.batches.push(batch);
    await this.onBatch(batch);
  }
}

const newTxid = (shard: number): Txid => makeTxid(shard, Date.now(), randomBytes(8));
const ack = (shard: number): ProtocolMessage => ({ kind: 'ACK', txid: newTxid(shard), branch: 0 });
const commit = (shard: number): ProtocolMessage => ({ kind: 'COMMIT', txid: newTxid(shard), branch: 0 });
const send = (transport: KafkaTransport, messages: readonly Message[], to: Inbox = COORDINATOR): Promise<void> => transport.send(messages.map((message) => ({ to, message })));
const onShard = (messages: readonly ProtocolMessage[], shard: number): Txid[] => messages.filter(({ txid }) => shardOf(txid) === shard).map(({ txid }) => txid);

async function hold(condition: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> {
  await eventually(condition, async () => { if (!holds()) throw new Error('not yet'); }, timeoutMs);
}

/** A program that joins a group, says so, and stays; its session ends a minute after its death. */
const MEMBER = `
  const { env: { BROKERS, CLIENT, GROUP, TOPIC } } = process;
  const consumer = new (require('kafkajs').Kafka)({ brokers: BROKERS.split(','), clientId: CLIENT, logLevel: 0 }).consumer({ groupId: GROUP, sessionTimeout: 60000, rebalanceTimeout: 60000 });
  consumer.on(consumer.events.GROUP_JOIN, () => console.log('joined'));
  consumer.connect().then(() => consumer.subscribe({ topic: TOPIC })).then(() => consumer.run({ eachBatch: async () => {} }));
`;

describe.each<KafkaClientName>(['kafkajs', 'platformatic'])('with %s', (name) => {
  beforeEach(() => {
    client = name;
  });

  describe('messages over Kafka', () => {
    it('10,000 arrive at least once, in order within each shard, in few records', async () => {
      const transport = await connect();
      const recorder = new Recorder();
      await transport.subscribe(COORDINATOR, recorder);
      const messages = Array.from({ length: 10_000 }, (_, i) => ack(i % SHARDS));
      const sends: Promise<void>[] = [];
      for (let i = 0; i < messages.length; i += 100) sends.push(send(transport, messages.slice(i, i + 100)));
      await Promise.all(sends);
      await hold('all have arrived', () => new Set(recorder.txids).size === messages.length);
      for (let shard = 0; shard < SHARDS; shard++) {
        const firstSeen = [...new Set(onShard(recorder.messages, shard))];
        expect(firstSeen).toEqual(onShard(messages, shard));
      }
      for (const { partition, messages: found } of recorder.batches) expect(found.every((m) => shardOf((m as ProtocolMessage).txid) === partition)).toBe(true);
      const offsets = await withAdmin((admin) => admin.fetchTopicOffsets(`${prefix}.coordinator.inbox`));
      expect(offsets.reduce((sum, { high }) => sum + Number(high), 0)).toBeLessThanOrEqual(SHARDS * sends.length);
    }, 60_000);

    it('arrive at once although the reader is idle most of the time', async () => {
      const transport = await connect({ fetchWaitMs: 5_000, sessionTimeoutMs: 20_000, heartbeatMs: 5_000 });
      const recorder = new Recorder();
      await transport.subscribe(PAYMENTS, recorder);
      await send(transport, [commit(0)], PAYMENTS);
      await hold('it reads', () => recorder.batches.length === 1);
      for (let i = 2; i <= 6; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        const sentAt = Date.now();
        await send(transport, [commit(0)], PAYMENTS);
        await hold('it has arrived', () => recorder.batches.length === i);
        expect(Date.now() - sentAt).toBeLessThan(2_500);
      }
    }, 60_000);

    it('that were not done when their reader ended come again, and only those', async () => {
      const transport = await connect();
      const [done, undone] = [[ack(0), ack(0)], [ack(1), ack(1)]];
      const first = new Recorder((batch) => { if (batch.partition === 0) batch.done(); });
      const subscription = await transport.subscribe(COORDINATOR, first);
      await send(transport, [...done, ...undone]);
      await hold('all have arrived', () => first.messages.length >= 4);
      await subscription.close();
      const second = new Recorder();
      await transport.subscribe(COORDINATOR, second);
      await hold('the rest has arrived again', () => second.messages.length >= undone.length);
      expect(second.txids).toEqual(undone.map(({ txid }) => txid));
    }, 60_000);

    it('that a subscriber refused are delivered again before anything newer of their partition', async () => {
      const transport = await connect();
      let refusals = 3;
      const recorder = new Recorder((batch) => {
        if (refusals-- > 0) throw new Error('the database is away');
        batch.done();
      });
      await transport.subscribe(COORDINATOR, recorder);
      const messages = [ack(2), ack(2)];
      await send(transport, messages.slice(0, 1));
      await send(transport, messages.slice(1));
      await hold('both are through', () => new Set(recorder.txids).size === 2 && refusals < 0);
      expect([...new Set(recorder.txids)]).toEqual(messages.map(({ txid }) => txid));
      expect(recorder.batches.slice(0, 4).map((batch) => (batch.messages[0] as ProtocolMessage).txid)).toEqual(Array(4).fill(messages[0]!.txid));
    }, 60_000);

    it('of one partition wait, without being lost or holding up others, while their subscriber is busy with more than fits in memory', async () => {
      const transport = await connect();
      let release!: () => void;
      const busy = new Promise<void>((resolve) => { release = resolve; });
      const recorder = new Recorder(async (batch) => {
        if (batch.partition === 0) await busy;
        batch.done();
      });
      await transport.subscribe(COORDINATOR, recorder);
      const large = Array.from({ length: 16 }, (): ProtocolMessage => ({ kind: 'VOTE', txid: newTxid(0), branch: 0, vote: 'yes', result: 'x'.repeat(900_000) }));
      for (const message of large) await send(transport, [message]);
      const other = ack(1);
      await send(transport, [other]);
      await hold('the other partition goes on', () => recorder.txids.includes(other.txid));
      release();
      await hold('all have arrived', () => recorder.messages.length === large.length + 1);
      expect(onShard(recorder.messages, 0)).toEqual(large.map(({ txid }) => txid));
    }, 60_000);

    it('tell outcomes to the world as CloudEvents, keyed by transaction', async () => {
      const transport = await connect();
      const txid = newTxid(1);
      await transport.send([], [{ txid, protocol: '2pc', status: 'committed', reason: null, decidedAtMs: 1_700_000_000_000 }]);
      const events = await readAll(`${prefix}.outcomes`);
      await hold('it can be read', () => events.length === 1);
      const { message } = events[0]!;
      expect([String(message.key), String(message.headers!['content-type'])]).toEqual([txid, 'application/cloudevents+json; charset=UTF-8']);
      expect(JSON.parse(String(message.value))).toMatchObject({ specversion: '1.0', id: txid, type: 'concordat.transaction.committed', time: '2023-11-14T22:13:20.000Z', data: { txid, status: 'committed' } });
    }, 60_000);
  });

  describe('what cannot be processed', () => {
    it('goes to the dead-letter topic with origin and error, and the partition moves on for good', async () => {
      const transport = await connect();
      const poison = [
        'not json at all', Buffer.from([0xff, 0xfe, 0]), null, '{"v":99,"sender":"x","messages":[]}', '{"v":1,"sender":"x","messages":[{"kind":"EXPLODE"}]}',
        JSON.stringify({ v: 1, sender: 'x', messages: [ack(0)] }), 'x'.repeat(1_000_000), '['.repeat(500_000),
      ];
      const codes = ['NOT_JSON', 'NOT_UTF8', 'EMPTY_RECORD', 'UNSUPPORTED_VERSION', 'UNKNOWN_KIND', 'WRONG_INBOX', 'NOT_JSON', 'NOT_JSON'];
      for (const value of poison) await produce(`${prefix}.payments.inbox`, 2, [value]);
      const after = commit(2);
      await send(transport, [after], PAYMENTS);
      const recorder = new Recorder();
      const subscription = await transport.subscribe(PAYMENTS, recorder);
      await hold('the message behind them has arrived', () => recorder.messages.length > 0);
      expect(recorder.messages).toEqual([after]);

      const letters = await readAll(`${prefix}.dead-letter`);
      await hold('all are kept', () => letters.length === poison.length);
      const header = (name: string): string[] => letters.map(({ message }) => String(message.headers![name]));
      expect(header('error-code')).toEqual(codes);
      expect(header('origin-topic')).toEqual(poison.map(() => `${prefix}.payments.inbox`));
      expect(header('origin-partition')).toEqual(poison.map(() => '2'));
      expect(header('origin-offset')).toEqual(poison.map((_, offset) => String(offset)));
      for (const text of header('error-message')) expect(text.length).toBeGreaterThan(5);
      expect(header('number')).toEqual(poison.map(() => '0'));
      const digest = (value: Buffer | string | null): string | null => (value === null ? null : createHash('sha256').update(value).digest('hex'));
      expect(letters.map(({ message }) => digest(message.value))).toEqual(poison.map(digest));

      await subscription.close();
      const next = new Recorder();
      await transport.subscribe(PAYMENTS, next);
      const last = commit(2);
      await send(transport, [last], PAYMENTS);
      await hold('only what is new is read', () => next.messages.length > 0);
      expect(next.messages).toEqual([last]);
      expect(letters).toHaveLength(poison.length);
    }, 60_000);

    it('one bad message among good ones of a record does not hold these up', async () => {
      const transport = await connect();
      const [good, alsoGood] = [commit(1), commit(1)];
      await produce(`${prefix}.payments.inbox`, 1, [JSON.stringify({ v: 1, sender: 'x', messages: [good, { kind: 'COMMIT' }, alsoGood] })]);
      const recorder = new Recorder();
      await transport.subscribe(PAYMENTS, recorder);
      const letters = await readAll(`${prefix}.dead-letter`);
      await hold('the record is kept', () => letters.length === 1);
      await hold('the good ones have arrived', () => recorder.messages.length === 2);
      expect(recorder.messages).toEqual([good, alsoGood]);
      expect(String(letters[0]!.message.headers!['error-message'])).toContain('messages[1]');
    }, 60_000);

    it('by the subscriber’s own judgement is kept alone in its record, with the code of the error', async () => {
      const transport = await connect();
      const messages = [commit(0), commit(0), commit(0)];
      await transport.subscribe(PAYMENTS, new Recorder(async (batch) => {
        await batch.deadLetter(batch.messages[1]!, Object.assign(new Error('no such branch'), { code: 'NO_BRANCH' }));
        batch.done();
      }));
      await send(transport, messages, PAYMENTS);
      const letters = await readAll(`${prefix}.dead-letter`);
      await hold('it is there', () => letters.length === 1);
      expect(letters[0]!.message.value).toEqual(encodeRecords('test/1', [messages[1]!])[0]);
      expect(String(letters[0]!.message.headers![DeadLetterHeader.ERROR_CODE])).toBe('NO_BRANCH');
    }, 60_000);

    it('because nobody has that inbox is kept, and the rest of the send arrives', async () => {
      const transport = await connect();
      const recorder = new Recorder();
      await transport.subscribe(PAYMENTS, recorder);
      await transport.send([{ to: { role: 'participant', name: 'nobody' }, message: commit(0) }, { to: PAYMENTS as { role: 'participant'; name: string }, message: commit(0) }]);
      const letters = await readAll(`${prefix}.dead-letter`);
      await hold('it is kept', () => letters.length > 0);
      await hold('the rest has arrived', () => recorder.messages.length > 0);
      expect(String(letters[0]!.message.headers!['error-code'])).toBe('UNKNOWN_DESTINATION');
    }, 60_000);

    it('because it is too large for any broker is refused to its sender, and others are not disturbed', async () => {
      const transport = await connect();
      const recorder = new Recorder();
      await transport.subscribe(COORDINATOR, recorder);
      const small = ack(0);
      const huge: Message = { kind: 'VOTE', txid: newTxid(0), branch: 0, vote: 'yes', result: 'x'.repeat(1_100_000) };
      const big: ProtocolMessage = { ...huge, txid: newTxid(0), result: 'x'.repeat(990_000) };
      const results = await Promise.allSettled([send(transport, [huge]), send(transport, [small]), send(transport, [big])]);
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
      expect((results[0] as PromiseRejectedResult).reason).toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
      await hold('both others have arrived', () => recorder.messages.length === 2);
      expect(recorder.txids).toEqual([small.txid, big.txid]);
    }, 60_000);

    it('because it is too large for this broker is refused in the same way', async () => {
      const transport = await connect();
      const topic = `${prefix}.coordinator.inbox`;
      await withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'max.message.bytes', value: '10000' }] }] }));
      const large: Message = { kind: 'VOTE', txid: newTxid(0), branch: 0, vote: 'yes', result: 'x'.repeat(20_000) };
      const refusal = await eventually('the topic has its limit', () => send(transport, [large]).then(() => { throw new Error('it was taken'); }, (error: unknown) => error));
      expect(refusal).toMatchObject({ name: 'MessageTooLargeError', code: 'MESSAGE_TOO_LARGE', message: expect.stringContaining(topic) });
      await send(transport, [ack(0)]);
      expect(transport.healthy()).toBe(true);
    }, 60_000);
  });

  describe('members of one group', () => {
    async function join(recorder: Recorder): Promise<{ transport: KafkaTransport; subscription: Subscription }> {
      const transport = await connect();
      return { transport, subscription: await transport.subscribe(COORDINATOR, recorder) };
    }

    it('share the partitions, and one that leaves hands its part over; nothing is lost', async () => {
      const [a, b] = [new Recorder(), new Recorder()];
      const { transport } = await join(a);
      await hold('the first has all', () => a.partitions.length === SHARDS);
      const { subscription } = await join(b);
      await hold('both have half', () => a.partitions.length === 2 && b.partitions.length === 2);
      expect([...a.partitions, ...b.partitions].sort()).toEqual([0, 1, 2, 3]);

      const messages = Array.from({ length: 400 }, (_, i) => ack(i % SHARDS));
      for (let i = 0; i < 200; i += 20) await send(transport, messages.slice(i, i + 20));
      await hold('the first half has been seen', () => new Set([...a.txids, ...b.txids]).size === 200);
      expect(b.txids.length).toBeGreaterThan(0);
      const leaving = subscription.close();
      for (let i = 200; i < 400; i += 20) await send(transport, messages.slice(i, i + 20));
      await leaving;
      const leftAt = Date.now();
      await hold('the other has all partitions', () => a.partitions.length === SHARDS);
      expect(Date.now() - leftAt).toBeLessThan(3_000);
      await hold('every message has been seen', () => new Set([...a.txids, ...b.txids]).size === messages.length);
      for (const shard of [0, 1, 2, 3]) expect([...new Set(onShard([...b.messages, ...a.messages], shard))].sort()).toEqual(onShard(messages, shard).sort());
    }, 60_000);

    it('may be of another client, as while one is exchanged for the other', async () => {
      const [a, b] = [new Recorder(), new Recorder()];
      const { transport } = await join(a);
      await hold('the first has all', () => a.partitions.length === SHARDS);
      const other = await connect({ client: name === 'kafkajs' ? 'platformatic' : 'kafkajs' });
      const subscription = await other.subscribe(COORDINATOR, b);
      await hold('both have half', () => a.partitions.length === 2 && b.partitions.length === 2);
      const messages = Array.from({ length: 40 }, (_, i) => ack(i % SHARDS));
      await send(transport, messages.slice(0, 20));
      await send(other, messages.slice(20));
      await hold('all have arrived', () => a.messages.length + b.messages.length >= messages.length);
      await subscription.close();
      await hold('the first has all again', () => a.partitions.length === SHARDS);
      expect([...a.txids, ...b.txids].sort()).toEqual(messages.map(({ txid }) => txid).sort());
    }, 60_000);

    it('do not repeat what is done when another one joins', async () => {
      const a = new Recorder();
      const { transport } = await join(a);
      const messages = Array.from({ length: 100 }, (_, i) => ack(i % SHARDS));
      await send(transport, messages);
      await hold('all are done', () => new Set(a.txids).size === messages.length);
      const b = new Recorder();
      await join(b);
      await hold('both have half', () => a.partitions.length === 2 && b.partitions.length === 2);
      const more = Array.from({ length: SHARDS }, (_, shard) => ack(shard));
      await send(transport, more);
      await hold('new ones arrive', () => a.messages.length + b.messages.length >= messages.length + more.length);
      expect([...a.txids, ...b.txids].sort()).toEqual([...messages, ...more].map(({ txid }) => txid).sort());
    }, 60_000);

    it('that were killed give way at once to a process of the same name, long before their session ends', async () => {
      const killed = spawn(process.execPath, ['-e', MEMBER], { env: { ...process.env, BROKERS: brokers().join(','), CLIENT: 'phoenix', GROUP: `${prefix}.coordinator`, TOPIC: `${prefix}.coordinator.inbox` }, stdio: ['ignore', 'pipe', 'inherit'] });
      closers.push(async () => killed.kill('SIGKILL'));
      const transport = await connect({ clientId: 'phoenix' });
      await once(killed.stdout, 'data');
      killed.kill('SIGKILL');
      await once(killed, 'exit');
      const successor = new Recorder();
      await transport.subscribe(COORDINATOR, successor);
      await hold('the successor has all', () => successor.partitions.length === SHARDS);
    }, 60_000);

    it('that leave while they are still joining keep no partitions', async () => {
      const a = new Recorder();
      const { transport } = await join(a);
      await hold('the first has all', () => a.partitions.length === SHARDS);
      for (const waitMs of [0, 20, 60]) {
        const { subscription } = await join(new Recorder());
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        await subscription.close();
      }
      const messages = Array.from({ length: SHARDS }, (_, shard) => ack(shard));
      await send(transport, messages);
      await hold('the first reads everything', () => messages.every(({ txid }) => a.txids.includes(txid)), 15_000);
    }, 60_000);
  });

  describe('a start', () => {
    it('creates the topics, also when many processes start at once', async () => {
      await Promise.all(Array.from({ length: 6 }, () => connect()));
      const { topics } = await withAdmin((admin) => admin.fetchTopicMetadata({ topics: ['coordinator.inbox', 'payments.inbox', 'outcomes', 'dead-letter'].map((name) => `${prefix}.${name}`) }));
      expect(Object.fromEntries(topics.map(({ name, partitions }) => [name.slice(prefix.length + 1), partitions.length]))).toEqual({ 'coordinator.inbox': SHARDS, 'payments.inbox': SHARDS, outcomes: SHARDS, 'dead-letter': 1 });
    }, 60_000);

    it('refuses a partition count other than the cluster’s, and says which one is right', async () => {
      await connect();
      await expect(connect({ coordinatorShards: 16 })).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining('set COORDINATOR_SHARDS=4') as unknown });
    }, 60_000);

    it('ends segments of the topics in time for what is old to be removed', async () => {
      await connect({ retentionMs: 3_600_000 });
      const resources = ['payments.inbox', 'outcomes'].map((name) => ({ type: ConfigResourceTypes.TOPIC, name: `${prefix}.${name}`, configNames: ['segment.ms'] }));
      const { resources: found } = await withAdmin((admin) => admin.describeConfigs({ includeSynonyms: false, resources }));
      expect(found.map(({ configEntries }) => configEntries[0]!.configValue)).toEqual(['900000', '6300000']);
    }, 60_000);

    it('can ask how long the cluster keeps the records of an inbox, whoever has set it', async () => {
      const transport = await connect({ retentionMs: 3_600_000 });
      expect(await transport.retentionMs(PAYMENTS)).toBe(3_600_000);
      const setTo = (value: string): Promise<unknown> => withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: `${prefix}.payments.inbox`, configEntries: [{ name: 'retention.ms', value }] }] }));
      await setTo('7200000');
      await eventually('the new setting', async () => expect(await transport.retentionMs(PAYMENTS)).toBe(7_200_000));
      await setTo('-1');
      await eventually('no limit', async () => expect(await transport.retentionMs(PAYMENTS)).toBe(Infinity));
      expect(await transport.retentionMs({ role: 'participant', name: 'nobody' })).toBeNull();
    }, 60_000);

    it('gives up with a typed error when no broker answers', async () => {
      await expect(connect({ brokers: ['127.0.0.1:1'], startTimeoutMs: 500 })).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    }, 60_000);
  });

  it('a closed transport takes no more and says so', async () => {
    const transport = await connect();
    expect(transport.healthy()).toBe(true);
    await transport.close();
    await expect(send(transport, [ack(0)])).rejects.toMatchObject({ name: 'UnavailableError', code: 'TRANSPORT_UNAVAILABLE' });
  }, 60_000);
});
