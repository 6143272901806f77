import { describe, expect, it } from '@jest/globals';
import { Reader, readRecordsBatches, type RecordsBatch } from '@platformatic/kafka';
import { readable } from './fetched.js';
import { encodeBatch } from './record-batch.js';

function batchAt(firstOffset: number, values: readonly string[], of: Partial<RecordsBatch> = {}): RecordsBatch {
  const [batch] = readRecordsBatches(Reader.from(encodeBatch(values.map((value) => ({ value: Buffer.from(value) })), 0)));
  return { ...batch!, firstOffset: BigInt(firstOffset), ...of };
}

const TRANSACTIONAL = { attributes: 0x10, producerId: 7n };
const MARKER = { attributes: 0x30, producerId: 7n };
const read = (records: RecordsBatch[] | null, position: number, abortedTransactions: { producerId: bigint; firstOffset: bigint }[] | null = null): { read: [number, string][]; next: number } => {
  const found = readable({ records, abortedTransactions }, position);
  return { read: found.records.map(({ offset, value }) => [offset, String(value)]), next: found.next };
};

describe('what a broker answers to a read', () => {
  it('begins at the position although the batch begins before it', () => {
    expect(read([batchAt(10, ['a', 'b', 'c']), batchAt(13, ['d'])], 12)).toEqual({ read: [[12, 'c'], [13, 'd']], next: 14 });
  });

  it('of nothing leaves the position as it is', () => {
    expect(read(null, 12)).toEqual({ read: [], next: 12 });
    expect(read([], 12)).toEqual({ read: [], next: 12 });
  });

  it('goes on behind records that were compacted away', () => {
    expect(read([batchAt(5, ['a'], { lastOffsetDelta: 9 })], 5)).toEqual({ read: [[5, 'a']], next: 15 });
  });

  it('leaves out markers and aborted transactions, and nothing else of their producer', () => {
    const batches = [
      batchAt(0, ['committed'], TRANSACTIONAL), batchAt(1, ['marker'], MARKER),
      batchAt(2, ['aborted'], TRANSACTIONAL), batchAt(3, ['other']), batchAt(4, ['aborted'], TRANSACTIONAL), batchAt(5, ['marker'], MARKER),
      batchAt(6, ['committed'], TRANSACTIONAL), batchAt(7, ['marker'], MARKER),
    ];
    expect(read(batches, 0, [{ producerId: 7n, firstOffset: 2n }])).toEqual({ read: [[0, 'committed'], [3, 'other'], [6, 'committed']], next: 8 });
  });
});
