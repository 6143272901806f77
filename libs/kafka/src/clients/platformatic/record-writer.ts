import { type Connection, murmur2, produceV9, Writer } from '@platformatic/kafka';
import { IncompleteAnswerError, type OutgoingRecord, type RecordWriter } from '../client.js';
import type { Broker, Cluster } from './cluster.js';
import { brokerErrorOf } from './errors.js';
import { encodeBatch } from './record-batch.js';

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

const ALL_REPLICAS = -1;

/** The records of one request by topic and partition. */
type Load = Map<string, Map<number, OutgoingRecord[]>>;

export class PlatformaticWriter implements RecordWriter {
  private leaders: ReadonlyMap<string, readonly Broker[]> = new Map();
  private readonly connections = new Map<string, Promise<Connection>>();

  constructor(private readonly cluster: Cluster, private readonly requestTimeoutMs: number) {}

  async write(records: readonly OutgoingRecord[]): Promise<void> {
    try {
      const loads = await this.loadsByLeader(records);
      // All have ended before anything is written again.
      const outcomes = await Promise.allSettled([...loads].map(([leader, load]) => this.produce(leader, load)));
      const failure = outcomes.find(({ status }) => status === 'rejected');
      if (failure !== undefined) throw (failure as PromiseRejectedResult).reason;
    } catch (error) {
      this.leaders = new Map();
      throw brokerErrorOf(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.connections.values()].map((connection) => connection.then((open) => open.close()).catch(() => {})));
  }

  private async loadsByLeader(records: readonly OutgoingRecord[]): Promise<ReadonlyMap<Broker, Load>> {
    const topics = new Set(records.map(({ topic }) => topic));
    for (const topic of topics) {
      if (this.leaders.has(topic)) continue;
      this.leaders = await this.cluster.leaders([...topics, ...this.leaders.keys()]);
      break;
    }
    const loads = new Map<Broker, Load>();
    for (const record of records) {
      const leaders = this.leaders.get(record.topic) ?? [];
      const partition = record.partition ?? partitionFor(record.key, leaders.length);
      const leader = leaders[partition];
      if (leader === undefined) throw new IncompleteAnswerError(`${record.topic}/${partition}`);
      const load = entryOf(loads, leader, () => new Map<string, Map<number, OutgoingRecord[]>>());
      entryOf(entryOf(load, record.topic, () => new Map<number, OutgoingRecord[]>()), partition, () => []).push(record);
    }
    return loads;
  }

  private async produce(leader: Broker, load: Load): Promise<void> {
    const connection = await this.connectionTo(leader);
    const response = await new Promise<ProduceResponse>((resolve, reject) => {
      const answered = (error: Error | null, answer?: ProduceResponse): void => (error === null ? resolve(answer!) : reject(error));
      connection.send(produceV9.api.key, produceV9.api.version, () => requestOf(load, this.requestTimeoutMs), produceV9.parseResponse, true, true, answered);
    });
    requireAll(load, response);
  }

  private async connectionTo(leader: Broker): Promise<Connection> {
    const key = `${leader.host}:${leader.port}`;
    const known = this.connections.get(key);
    if (known !== undefined) return await known;
    const opening = this.cluster.connect(leader);
    this.connections.set(key, opening);
    // A broker that goes, or that ends what was idle for long: the next write connects anew.
    const forget = (): void => void (this.connections.get(key) === opening && this.connections.delete(key));
    opening.then((connection) => connection.once('close', forget), forget);
    return await opening;
  }
}

/** As the library would write it, but with batches that are one buffer each. */
function requestOf(load: Load, timeoutMs: number): Writer {
  const now = Date.now();
  return Writer.create()
    .appendString(null)
    .appendInt16(ALL_REPLICAS)
    .appendInt32(timeoutMs)
    .appendArray([...load], (topics, [topic, byPartition]) => {
      topics.appendString(topic).appendArray([...byPartition], (partitions, [partition, records]) => {
        partitions.appendInt32(partition).appendBytes(encodeBatch(records, now));
      });
    })
    .appendTaggedFields();
}

function requireAll(asked: Load, { responses }: ProduceResponse): void {
  const answered = new Set(responses.flatMap(({ name, partitionResponses }) => partitionResponses.map(({ index }) => `${name}/${index}`)));
  for (const [topic, byPartition] of asked) {
    for (const partition of byPartition.keys()) if (!answered.has(`${topic}/${partition}`)) throw new IncompleteAnswerError(`${topic}/${partition}`);
  }
}

function partitionFor(key: string | Buffer | undefined, count: number): number {
  return key === undefined || count === 0 ? 0 : (murmur2(key) & 0x7fff_ffff) % count;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
