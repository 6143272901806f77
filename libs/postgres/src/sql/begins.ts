import { shardOf, type Txid } from '#libs/protocol';
import type { BeginRow, Idempotency, Spec } from '#libs/runtime';
import type { Operation } from '../pipeline.js';
import type { SagaSettings } from '../stored-transaction.js';
import { json, jsonOrNull, lines, linesOf, plainArray, textArray } from './encode.js';
import { HELD } from './fence.js';
import { inOrder, type Part } from './part.js';

export interface KeyedBegin {
  readonly txid: Txid;
  readonly idempotency: Idempotency;
}

export function keyedBegins(begins: readonly BeginRow[]): readonly KeyedBegin[] {
  return inOrder(begins.flatMap(({ spec, idempotency }) => (idempotency === null ? [] : [{ txid: spec.txid, idempotency }])), (b) => b.idempotency.key);
}

/** First come, first served; in key order, so that two flushes with the same keys cannot deadlock. */
export function claimKeys(begins: readonly KeyedBegin[]): Part {
  return {
    values: [textArray(begins.map((b) => b.idempotency.key)), plainArray(begins.map((b) => b.txid)), textArray(begins.map((b) => b.idempotency.requestHash))],
    text: ([keys, txids, hashes]) => `
      claimed AS (
        INSERT INTO idempotency_key (key, txid, request_hash)
        SELECT r.key, r.txid, r.hash FROM unnest(${keys}::text[], ${txids}::uuid[], ${hashes}::text[]) AS r (key, txid, hash) WHERE ${HELD}
            ON CONFLICT DO NOTHING
        RETURNING txid)`,
  };
}

/**
 * Begins, but for those whose key belongs to another transaction, or has been claimed by the same flush when it was sent before: then
 * everything of it is there. `tx_open` gets what was really inserted, so that such a flush opens nothing anew that has ended.
 */
export function insertBegins(rows: readonly BeginRow[], isKeyed: boolean): Part {
  const begins = inOrder(rows, (b) => b.spec.txid);
  return {
    values: [
      plainArray(begins.map((b) => b.spec.txid)), plainArray(begins.map((b) => shardOf(b.spec.txid))), plainArray(begins.map((b) => b.spec.protocol)),
      plainArray(begins.map((b) => b.spec.createdAtMs)), plainArray(begins.map((b) => b.spec.deadlineMs)), plainArray(begins.map((b) => b.spec.waitFor)),
      lines(begins.map((b) => json(partsOf(b.spec)))), lines(begins.map((b) => participants(b.spec))),
      lines(begins.map((b) => (b.acceptors.length === 0 ? null : textArray(b.acceptors)))), lines(begins.map((b) => jsonOrNull(sagaSettings(b.spec)))),
      lines(begins.map((b) => jsonOrNull(b.metadata))), textArray(begins.map((b) => b.idempotency?.key ?? null)),
    ],
    text: ([txids, shards, protocols, created, deadlines, waits, branches, names, acceptors, sagas, metadata, keys]) => `
      begun AS (
        INSERT INTO tx_begin (txid, shard, protocol, created_at, deadline_at, wait_for, branches, participants, acceptors, saga, metadata, idempotency_key)
        SELECT r.txid, r.shard, r.protocol, to_timestamp(r.created_ms / 1000), to_timestamp(r.deadline_ms / 1000), r.wait_for, r.branches::json,
               r.participants::text[], r.acceptors::text[], r.saga::json, r.metadata::json, r.key
          FROM unnest(${txids}::uuid[], ${shards}::int[], ${protocols}::text[], ${created}::float8[], ${deadlines}::float8[], ${waits}::text[], ${linesOf(branches!)},
                      ${linesOf(names!)}, ${linesOf(acceptors!)}, ${linesOf(sagas!)}, ${linesOf(metadata!)}, ${keys}::text[])
               AS r (txid, shard, protocol, created_ms, deadline_ms, wait_for, branches, participants, acceptors, saga, metadata, key)
         WHERE ${HELD}${isKeyed ? ' AND (r.key IS NULL OR r.txid IN (SELECT txid FROM claimed))' : ''}
            ON CONFLICT DO NOTHING
        RETURNING shard, txid
      ), opened AS (
        INSERT INTO tx_open (shard, txid) SELECT shard, txid FROM begun ON CONFLICT DO NOTHING)`,
  };
}

function partsOf(spec: Spec): readonly { readonly participant: string }[] {
  return 'steps' in spec ? spec.steps : spec.branches;
}

function participants(spec: Spec): string {
  return textArray([...new Set(partsOf(spec).map((part) => part.participant))]);
}

function sagaSettings(spec: Spec): SagaSettings | null {
  return 'steps' in spec ? { compensationTimeoutMs: spec.compensationTimeoutMs, attentionAfterAttempts: spec.attentionAfterAttempts } : null;
}

export interface KeyHolder {
  readonly txid: Txid;
  readonly requestHash: string;
}

/** Who has these keys, after a flush that has not got all of them: somebody else, or the same transaction, if it was sent before. */
export function readKeys(begins: readonly KeyedBegin[]): Operation<ReadonlyMap<string, KeyHolder>> {
  return {
    name: 'read-keys',
    text: 'SELECT key, txid, request_hash AS "requestHash" FROM idempotency_key WHERE key = ANY ($1::text[])',
    values: [begins.map((b) => b.idempotency.key)],
    read: (rows: (KeyHolder & { readonly key: string })[]) => new Map(rows.map(({ key, ...holder }) => [key, holder])),
  };
}
