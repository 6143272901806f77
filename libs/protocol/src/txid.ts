/** Identifies one transaction. A UUID (version 8, RFC 9562 section 5.8) in lower-case canonical text. */
export type Txid = string & { readonly __brand: 'Txid' };

/** Largest number of shards that a txid can name. */
export const MAX_SHARDS = 4096;

/** Of every shard, and so of every byte. */
const HEX: readonly string[] = Array.from({ length: MAX_SHARDS }, (_, number) => number.toString(16).padStart(2, '0'));

const TXID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * Builds a txid: 48 bits of milliseconds, 12 bits of shard, 62 random bits. Ids sort by creation time,
 * so an index on them grows at its right edge, and any process can route a message to the shard that
 * owns the transaction without asking anyone.
 * @param shard the home shard, 0..4095
 * @param createdAtMs milliseconds since the epoch
 * @param random at least 8 random bytes
 */
export function makeTxid(shard: number, createdAtMs: number, random: Uint8Array): Txid {
  if (!Number.isInteger(shard) || shard < 0 || shard >= MAX_SHARDS) throw new RangeError(`shard ${shard} is not within 0..${MAX_SHARDS - 1}`);
  if (random.length < 8) throw new RangeError(`makeTxid needs 8 random bytes, got ${random.length}`);
  const time = createdAtMs.toString(16).padStart(12, '0');
  let noise = HEX[(random[0]! & 0x3f) | 0x80]!;
  for (let i = 1; i < 8; i++) noise += i === 2 ? `-${HEX[random[i]!]!}` : HEX[random[i]!]!;
  return `${time.slice(0, 8)}-${time.slice(8)}-8${HEX[shard]!.padStart(3, '0')}-${noise}` as Txid;
}

/** True for text that `makeTxid` could have produced. */
export function isTxid(text: unknown): text is Txid {
  return typeof text === 'string' && TXID_PATTERN.test(text);
}

/** The shard on which the transaction is homed, 0..4095. */
export function shardOf(txid: Txid): number {
  return Number.parseInt(txid.slice(15, 18), 16);
}

/** When the txid was made, in milliseconds since the epoch. */
export function createdAtOf(txid: Txid): number {
  return Number.parseInt(txid.slice(0, 8) + txid.slice(9, 13), 16);
}
