import { shardOf, type Txid } from '#libs/protocol';
import type { BeginRow, Idempotency } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import type { EpochOf } from './fence.js';

export interface KeyedBegin {
  readonly txid: Txid;
  readonly idempotency: Idempotency;
}

export function keyedBegins(begins: readonly BeginRow[]): readonly KeyedBegin[] {
  return begins.flatMap(({ spec, idempotency }) => (idempotency === null ? [] : [{ txid: spec.txid, idempotency }]));
}

/** First come, first served; in key order, so that two flushes with the same keys cannot deadlock. */
export function claimKeys(begins: readonly KeyedBegin[], epochOf: EpochOf): Operation<void> {
  const shards = begins.map((b) => shardOf(b.txid));
  return {
    name: 'claim-keys',
    text: `
      INSERT INTO idempotency_key (key, txid, request_hash)
      SELECT r.key, r.txid, r.hash
        FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::int[]) AS r (key, txid, hash, shard, epoch)
        JOIN shard USING (shard, epoch)
       ORDER BY r.key, r.txid
          ON CONFLICT DO NOTHING`,
    values: [begins.map((b) => b.idempotency.key), begins.map((b) => b.txid), begins.map((b) => b.idempotency.requestHash), shards, shards.map(epochOf)],
    read: () => undefined,
  };
}

export interface LostKey {
  /** The transaction that is refused. */
  readonly refused: Txid;
  /** The one that has the key. */
  readonly txid: Txid;
  readonly requestHash: string;
}

/** A statement of its own, because the one that lost a race does not see the winner's row. */
export function readLostKeys(begins: readonly KeyedBegin[]): Operation<readonly LostKey[]> {
  return {
    name: 'read-lost-keys',
    text: `
      SELECT r.txid AS refused, k.txid, k.request_hash AS "requestHash"
        FROM unnest($1::text[], $2::uuid[]) AS r (key, txid)
        JOIN idempotency_key k ON k.key = r.key AND k.txid <> r.txid`,
    values: [begins.map((b) => b.idempotency.key), begins.map((b) => b.txid)],
    read: (rows: LostKey[]) => rows,
  };
}
