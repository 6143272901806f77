import type { Txid } from '#libs/protocol';
import type { CoordinatorFlush } from '#libs/runtime';
import { type Operation, runAlone, runTogether } from '../pipeline.js';
import type { Pool } from '../pool.js';
import { claimKeys, insertBegins, keyedBegins } from './begins.js';
import { insertEnds } from './ends.js';
import { fence } from './fence.js';
import type { Part } from './part.js';
import { insertDecisions } from './register.js';
import { upsertProgress } from './upsert-progress.js';

/** What a flush has written: nothing at all, if a shard has moved on. */
export interface Written {
  /** The shards of the flush that there are, and their epochs. */
  readonly shards: readonly number[];
  readonly epochs: readonly number[];
  /** How many idempotency keys it has got. */
  readonly keys: number;
  /** How many registers it has filled. */
  readonly decisions: number;
}

/**
 * One statement, and so a database transaction without BEGIN and COMMIT: each statement more costs both sides more than a row. Only rows
 * that need what others of the same flush have left (an end or progress of what is begun here) take their turns in several.
 */
export async function writeRows(pool: Pool, flush: CoordinatorFlush): Promise<Written> {
  const batch = withoutForgotten(flush);
  const { epochs, begins, progress, decisions, ends } = batch;
  if (!meet(begins, [progress, ends])) return runAlone(pool, statement(batch));
  const none = { epochs, begins: [], progress: [], decisions: [], ends: [] };
  // The first one holds the shards, so it is there even without begins.
  const [begun, , decided] = await runTogether(pool, [
    statement({ ...none, begins }),
    progress.length === 0 ? null : statement({ ...none, progress }),
    decisions.length === 0 ? null : statement({ ...none, decisions }),
    ends.length === 0 ? null : statement({ ...none, ends }),
  ]);
  return { ...begun, decisions: decided?.decisions ?? 0 };
}

/** Without progress that END of the same flush would take along: parts of one statement do not see what the others write. */
function withoutForgotten(batch: CoordinatorFlush): CoordinatorFlush {
  if (batch.progress.length === 0 || batch.ends.length === 0) return batch;
  const ended = new Set<Txid>(batch.ends.map(({ txid }) => txid));
  return { ...batch, progress: batch.progress.filter(({ txid }) => !ended.has(txid)) };
}

function meet(begins: CoordinatorFlush['begins'], others: readonly (readonly { readonly txid: Txid }[])[]): boolean {
  if (begins.length === 0 || others.every((rows) => rows.length === 0)) return false;
  const begun = new Set<Txid>(begins.map(({ spec }) => spec.txid));
  return others.some((rows) => rows.some(({ txid }) => begun.has(txid)));
}

/** The order of the parts is the same in every flush, and the rows are sorted within each, so that flushes wait for each other instead of deadlocking. */
function statement({ epochs, begins, progress, decisions, ends }: CoordinatorFlush): Operation<Written> {
  const keyed = keyedBegins(begins);
  const parts: readonly (readonly [name: string, part: Part])[] = [
    ['shards', fence(epochs)],
    ...(keyed.length === 0 ? [] : [['keys', claimKeys(keyed)] as const]),
    ...(begins.length === 0 ? [] : [['begins', insertBegins(begins, keyed.length > 0)] as const]),
    ...(progress.length === 0 ? [] : [['progress', upsertProgress(progress)] as const]),
    ...(decisions.length === 0 ? [] : [['decisions', insertDecisions(decisions, epochs)] as const]),
    ...(ends.length === 0 ? [] : [['ends', insertEnds(ends)] as const]),
  ];
  const name = `flush-${parts.map(([part]) => part).join('-')}`;
  return { name, text: textOf(name, parts), values: parts.flatMap(([, { values }]) => values), read: ([row]: Written[]) => row! };
}

const TEXTS = new Map<string, string>();

function textOf(name: string, parts: readonly (readonly [name: string, part: Part])[]): string {
  const known = TEXTS.get(name);
  if (known !== undefined) return known;
  let parameters = 0;
  const queries = parts.map(([, { values, text }]) => text(values.map(() => `$${++parameters}`)));
  const counted = (part: string, query: string): string => (parts.some(([here]) => here === part) ? `(SELECT count(*) FROM ${query})::int` : '0');
  const text = `
    WITH ${queries.join(',')}
    SELECT ARRAY(SELECT shard FROM found) AS shards, ARRAY(SELECT epoch FROM found) AS epochs, ${counted('keys', 'claimed')} AS keys, ${counted('begins', 'begun')} AS begins, ${counted('decisions', 'decided')} AS decisions`;
  TEXTS.set(name, text);
  return text;
}
