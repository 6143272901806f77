import type { fetchV12, KafkaRecord, RecordsBatch } from '@platformatic/kafka';
import type { InboxRecord } from '../../inbox/dead-letter.js';

export type Fetched = ReturnType<typeof fetchV12.parseResponse>;
export type FetchedPartition = Fetched['responses'][number]['partitions'][number];

const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;
const NO_HEADERS: Readonly<Record<string, string | Buffer>> = {};

/** What to hand over of a partition's answer, and where to read on. A broker gives whole batches, also of what lies before the position. */
export function readable({ records: batches, abortedTransactions }: Pick<FetchedPartition, 'records' | 'abortedTransactions'>, position: number): { readonly records: readonly InboxRecord[]; readonly next: number } {
  const records: InboxRecord[] = [];
  let next = position;
  const aborted = new Set<bigint>();
  const toAbort = [...(abortedTransactions ?? [])];
  for (const batch of batches ?? []) {
    const first = Number(batch.firstOffset);
    next = Math.max(next, first + batch.lastOffsetDelta + 1);
    for (let i = toAbort.length - 1; i >= 0; i--) if (toAbort[i]!.firstOffset <= batch.firstOffset) aborted.add(toAbort.splice(i, 1)[0]!.producerId);
    if ((batch.attributes & IS_CONTROL) !== 0) aborted.delete(batch.producerId);
    else if (!isAborted(batch, aborted)) for (const record of batch.records) if (first + record.offsetDelta >= position) records.push(toInboxRecord(first, record));
  }
  return { records, next };
}

function isAborted({ attributes, producerId }: RecordsBatch, aborted: ReadonlySet<bigint>): boolean {
  return (attributes & IS_TRANSACTIONAL) !== 0 && aborted.has(producerId);
}

function toInboxRecord(first: number, { offsetDelta, key, value, headers }: KafkaRecord): InboxRecord {
  return { offset: first + offsetDelta, key, value, headers: headers.length === 0 ? NO_HEADERS : firstOfEach(headers) };
}

function firstOfEach(headers: KafkaRecord['headers']): Record<string, string | Buffer> {
  const result: Record<string, string | Buffer> = {};
  for (const [name, value] of headers) if (!Object.hasOwn(result, String(name)) && value !== null) result[String(name)] = value;
  return result;
}
