import { describe, expect, it } from '@jest/globals';
import { jsCRC32C, Reader, readRecordsBatches } from '@platformatic/kafka';
import { encodeBatch } from './record-batch.js';

const NOW = 1_700_000_000_123;

function decoded(batch: Buffer): ReturnType<typeof readRecordsBatches> {
  return readRecordsBatches(Reader.from(batch));
}

describe('a record batch', () => {
  it('is read by others as it was written', () => {
    const records: Parameters<typeof encodeBatch>[0] = [
      { key: 'one', value: Buffer.from('first'), headers: { 'content-type': 'text/plain', raw: Buffer.from([0, 255]) } },
      { key: Buffer.from('zwei ü'), value: null },
      { value: Buffer.alloc(0), headers: {} },
      { key: 'ключ', value: Buffer.alloc(300_000, 7), headers: { 'ä': 'ß' } },
    ];
    const [batch, ...more] = decoded(encodeBatch(records, NOW));
    expect(more).toEqual([]);
    expect(batch).toMatchObject({ magic: 2, attributes: 0, firstOffset: 0n, lastOffsetDelta: 3, firstTimestamp: BigInt(NOW), maxTimestamp: BigInt(NOW), producerId: -1n });
    const text = (content: Buffer | null): string | null => (content === null ? null : content.toString('base64'));
    const base64 = (content: string | Buffer): string => Buffer.from(content as string).toString('base64');
    expect(batch!.records.map(({ offsetDelta, timestampDelta, key, value, headers }) => [offsetDelta, timestampDelta, text(key), text(value), headers.map((pair) => pair.map((each) => text(each as Buffer)))])).toEqual(
      records.map(({ key, value, headers }, i) => [i, 0n, key === undefined ? null : base64(key), text(value), Object.entries(headers ?? {}).map((pair) => pair.map(base64))]),
    );
  });

  it('of any size keeps its lengths and counts', () => {
    for (const count of [1, 63, 64, 65, 8_191, 8_192, 8_193]) {
      const [batch] = decoded(encodeBatch(Array.from({ length: count }, (_, i) => ({ value: Buffer.alloc(i % 200, 1) })), NOW));
      expect(batch!.records.map(({ offsetDelta, value }) => [offsetDelta, value!.length])).toEqual(Array.from({ length: count }, (_, i) => [i, i % 200]));
    }
  });

  it('carries the checksum of all that follows it', () => {
    const batch = encodeBatch([{ key: 'k', value: Buffer.from('value') }], NOW);
    expect(batch.readUInt32BE(17)).toBe(jsCRC32C(batch.subarray(21)));
    expect(batch.readInt32BE(8)).toBe(batch.length - 12);
  });
});
