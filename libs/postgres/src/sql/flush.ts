import { shardOf, type Txid } from '#libs/protocol';
import type { CoordinatorFlush, CoordinatorFlushResult, DecideRow, RegisterEntry } from '#libs/runtime';
import { runTogether } from '../pipeline.js';
import type { Pool } from '../pool.js';
import { type KeyedBegin, keyedBegins, type KeyHolder, readKeys } from './begins.js';
import { movedOn, without } from './fence.js';
import { readRegisters, registerEntry, type RegisterRow } from './register.js';
import { type Written, writeRows } from './write-rows.js';

/**
 * The coordinator's one write: one database transaction, one round trip, whatever the number of records. Only a shard that was lost, a key
 * that somebody else has, or a register that was filled before takes another.
 */
export async function flush(pool: Pool, batch: CoordinatorFlush): Promise<CoordinatorFlushResult> {
  const { written, rest, fenced } = await writeUnfenced(pool, batch);
  const keyed = keyedBegins(rest.begins);
  const lostKeys = written.keys < keyed.length;
  const lostRegisters = written.decisions < rest.decisions.length;
  const [keys, registers] = lostKeys || lostRegisters
    ? await runTogether(pool, [lostKeys ? readKeys(keyed) : null, lostRegisters ? readRegisters(rest.decisions.map((d) => d.txid)) : null])
    : [null, null];
  return {
    fenced: batch.epochs.map(({ shard }) => shard).filter((shard) => fenced.has(shard)),
    duplicates: keys === null ? new Map() : duplicates(keyed, keys),
    register: registers === null ? new Map(rest.decisions.map((row) => [row.txid, entryOf(row)])) : register(rest.decisions, registers),
  };
}

/** A shard that the flush does not name is as good as fenced. Nothing is written in vain twice, unless shards are lost meanwhile. */
async function writeUnfenced(pool: Pool, batch: CoordinatorFlush): Promise<{ readonly written: Written; readonly rest: CoordinatorFlush; readonly fenced: ReadonlySet<number> }> {
  const fenced = unnamed(batch);
  for (;;) {
    const rest = fenced.size === 0 ? batch : without(batch, fenced);
    const written = await writeRows(pool, rest);
    const moved = movedOn(rest.epochs, written);
    if (moved.length === 0) return { written, rest, fenced };
    for (const shard of moved) fenced.add(shard);
  }
}

function unnamed({ epochs, begins, progress, decisions, ends }: CoordinatorFlush): Set<number> {
  const named = new Set(epochs.map(({ shard }) => shard));
  const result = new Set<number>();
  const look = (txid: Txid): void => {
    const shard = shardOf(txid);
    if (!named.has(shard)) result.add(shard);
  };
  for (const { spec } of begins) look(spec.txid);
  for (const rows of [progress, decisions, ends]) for (const { txid } of rows) look(txid);
  return result;
}

function duplicates(keyed: readonly KeyedBegin[], holders: ReadonlyMap<string, KeyHolder>): CoordinatorFlushResult['duplicates'] {
  return new Map(keyed.flatMap(({ txid, idempotency: { key } }) => {
    const holder = holders.get(key);
    if (holder === undefined) throw new Error(`the idempotency key of ${txid} was neither claimed nor found`);
    return holder.txid === txid ? [] : [[txid, holder]];
  }));
}

function entryOf({ decision, reason, branches, atMs }: DecideRow): RegisterEntry {
  return { decision, reason, branches, atMs };
}

function register(decisions: readonly DecideRow[], rows: readonly RegisterRow[]): ReadonlyMap<Txid, RegisterEntry> {
  const entries = new Map(rows.map((row) => [row.txid, registerEntry(row)]));
  return new Map(decisions.map(({ txid }) => {
    const entry = entries.get(txid);
    if (entry === undefined) throw new Error(`the register of ${txid} was neither written nor found`);
    return [txid, entry];
  }));
}
