import { shardOf } from '#libs/protocol';
import type { BeginRow, Spec } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import type { SagaSettings } from '../stored-transaction.js';
import { json, jsonOrNull, textArray } from './encode.js';
import type { EpochOf } from './fence.js';

/**
 * Begins, but for those whose key belongs to another transaction. `tx_open` gets what was really inserted: a flush that is sent
 * again must not open a transaction anew that has ended. (A join and not EXISTS: below an OR Postgres would hash the whole table of keys.)
 */
export function insertBegins(begins: readonly BeginRow[], epochOf: EpochOf): Operation<void> {
  const shards = begins.map((b) => shardOf(b.spec.txid));
  return {
    name: 'insert-begins',
    text: `
      WITH begun AS (
        INSERT INTO tx_begin (txid, shard, protocol, created_at, deadline_at, wait_for, branches, participants, acceptors, saga, metadata, idempotency_key)
        SELECT r.txid, shard, r.protocol, to_timestamp(r.created_ms / 1000), to_timestamp(r.deadline_ms / 1000), r.wait_for, r.branches,
               r.participants::text[], r.acceptors::text[], r.saga, r.metadata, r.key
          FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::float8[], $6::float8[], $7::text[], $8::jsonb[], $9::text[], $10::text[], $11::jsonb[], $12::jsonb[], $13::text[])
               AS r (txid, shard, epoch, protocol, created_ms, deadline_ms, wait_for, branches, participants, acceptors, saga, metadata, key)
          JOIN shard USING (shard, epoch)
          LEFT JOIN idempotency_key k ON k.key = r.key
         WHERE r.key IS NULL OR k.txid = r.txid
         ORDER BY r.txid
            ON CONFLICT DO NOTHING
        RETURNING shard, txid)
      INSERT INTO tx_open (shard, txid) SELECT shard, txid FROM begun ON CONFLICT DO NOTHING`,
    values: [
      begins.map((b) => b.spec.txid), shards, shards.map(epochOf), begins.map((b) => b.spec.protocol), begins.map((b) => b.spec.createdAtMs),
      begins.map((b) => b.spec.deadlineMs), begins.map((b) => b.spec.waitFor), begins.map((b) => json(partsOf(b.spec))),
      begins.map((b) => textArray([...new Set(partsOf(b.spec).map((part) => part.participant))])),
      begins.map((b) => (b.acceptors.length === 0 ? null : textArray(b.acceptors))), begins.map((b) => jsonOrNull(sagaSettings(b.spec))),
      begins.map((b) => jsonOrNull(b.metadata)), begins.map((b) => b.idempotency?.key ?? null),
    ],
    read: () => undefined,
  };
}

function partsOf(spec: Spec): readonly { readonly participant: string }[] {
  return 'steps' in spec ? spec.steps : spec.branches;
}

function sagaSettings(spec: Spec): SagaSettings | null {
  return 'steps' in spec ? { compensationTimeoutMs: spec.compensationTimeoutMs, attentionAfterAttempts: spec.attentionAfterAttempts } : null;
}
