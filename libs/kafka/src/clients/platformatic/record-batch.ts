import { crc32c } from '@platformatic/kafka';
import type { OutgoingRecord } from '../client.js';

type Payload = Pick<OutgoingRecord, 'key' | 'value' | 'headers'>;

const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const HEAD_BYTES = 61;
const MAGIC = 2;
const NONE = -1;

/**
 * A record batch of format 2 in one buffer, uncompressed and of no idempotent producer.
 * https://kafka.apache.org/documentation/#recordbatch
 * @param timestampMs of all records
 */
export function encodeBatch(records: readonly Payload[], timestampMs: number): Buffer {
  const sizes = records.map(bodySize);
  const total = sizes.reduce((sum, size) => sum + varintSize(size) + size, HEAD_BYTES);
  const batch = Buffer.allocUnsafe(total);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(total - 12, 8);
  batch.writeInt32BE(NONE, 12);
  batch.writeInt8(MAGIC, 16);
  batch.writeInt16BE(0, ATTRIBUTES_AT);
  batch.writeInt32BE(records.length - 1, 23);
  const timestamp = BigInt(timestampMs);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(timestamp, 35);
  batch.writeBigInt64BE(-1n, 43);
  batch.writeInt16BE(NONE, 51);
  batch.writeInt32BE(NONE, 53);
  batch.writeInt32BE(records.length, 57);
  let at = HEAD_BYTES;
  records.forEach((record, i) => {
    at = writeRecord(batch, writeVarint(batch, at, sizes[i]!), record, i);
  });
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT);
  return batch;
}

/** Without its own length. */
function bodySize({ key, value, headers }: Payload, offsetDelta: number): number {
  const entries = headers === undefined ? [] : Object.entries(headers);
  const ofHeaders = entries.reduce((sum, [name, content]) => sum + bytesSize(name) + bytesSize(content), varintSize(entries.length));
  // Attributes and the time, which is that of the batch, take a byte each.
  return 2 + varintSize(offsetDelta) + bytesSize(key) + bytesSize(value) + ofHeaders;
}

function writeRecord(batch: Buffer, start: number, { key, value, headers }: Payload, offsetDelta: number): number {
  let at = batch.writeInt8(0, start);
  at = writeVarint(batch, at, 0);
  at = writeVarint(batch, at, offsetDelta);
  at = writeBytes(batch, at, key);
  at = writeBytes(batch, at, value);
  const entries = headers === undefined ? [] : Object.entries(headers);
  at = writeVarint(batch, at, entries.length);
  for (const [name, content] of entries) at = writeBytes(batch, writeBytes(batch, at, name), content);
  return at;
}

function bytesSize(content: string | Buffer | null | undefined): number {
  if (content === null || content === undefined) return varintSize(NONE);
  const length = Buffer.byteLength(content);
  return varintSize(length) + length;
}

function writeBytes(batch: Buffer, at: number, content: string | Buffer | null | undefined): number {
  if (content === null || content === undefined) return writeVarint(batch, at, NONE);
  const after = writeVarint(batch, at, Buffer.byteLength(content));
  return after + (typeof content === 'string' ? batch.write(content, after) : content.copy(batch, after));
}

function varintSize(value: number): number {
  let rest = zigzag(value);
  let size = 1;
  while (rest > 0x7f) {
    rest >>>= 7;
    size++;
  }
  return size;
}

function writeVarint(batch: Buffer, start: number, value: number): number {
  let at = start;
  let rest = zigzag(value);
  while (rest > 0x7f) {
    batch[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  batch[at++] = rest;
  return at;
}

function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}
