import { randomBytes } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { Txid } from '#libs/protocol';

const LIMIT_MS = 120_000;

/** Statuses of all outcome events in the topic, by txid. */
export async function readOutcomeEvents(brokers: string, topic: string): Promise<ReadonlyMap<Txid, ReadonlySet<string>>> {
  const kafka = new Kafka({ clientId: 'chaos-audit', brokers: [brokers], logLevel: logLevel.NOTHING, retry: { retries: 20 } });
  const ends = await endsOf(kafka, topic);
  const events = new Map<Txid, Set<string>>();
  if (ends.size === 0) return events;
  const consumer = kafka.consumer({ groupId: `chaos-audit-${randomBytes(4).toString('hex')}`, maxWaitTimeInMs: 100 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the topic ${topic} could not be read within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
      const at = (partition: number, next: bigint): void => {
        if (next >= (ends.get(partition) ?? 0n)) ends.delete(partition);
        if (ends.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      consumer.run({
        eachBatch: async ({ batch }) => {
          for (const { key, value } of batch.messages) note(events, key, value);
          at(batch.partition, BigInt(batch.lastOffset()) + 1n);
        },
      }).catch(reject);
    });
  } finally {
    await consumer.disconnect().catch(() => undefined);
  }
  return events;
}

/** Where each partition that holds something ends now. */
async function endsOf(kafka: Kafka, topic: string): Promise<Map<number, bigint>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(offsets.filter(({ low, high }) => high !== low).map(({ partition, high }) => [partition, BigInt(high)]));
  } finally {
    await admin.disconnect();
  }
}

function note(events: Map<Txid, Set<string>>, key: Buffer | null, value: Buffer | null): void {
  const { data } = JSON.parse(String(value)) as { data?: { txid?: string; status?: string } };
  const txid = (data?.txid ?? String(key)) as Txid;
  if (!events.has(txid)) events.set(txid, new Set());
  events.get(txid)!.add(String(data?.status));
}
