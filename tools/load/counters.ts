// What a run has cost the servers, as they count it themselves.
import fs from 'node:fs';
import path from 'node:path';
import type { Cost } from './report-types.ts';

type Pool = ReturnType<typeof import('#libs/postgres').createPool>;

/** Since servers and services were started. */
export interface Counters {
  /** Of all coordinators. */
  readonly flushes: number;
  /** Committed ones, of all databases. */
  readonly databaseTransactions: number;
  readonly walSyncs: number;
  readonly walBytes: number;
  /** Of the segments of all partitions, Kafka's own topics (offsets of consumers) included. */
  readonly kafkaBytes: number;
}

export interface CounterSources {
  /** The server's own database. */
  readonly admin: Pool;
  /** The folder of the broker's partitions. */
  readonly kafkaFolder: string;
  readonly coordinatorUrls: readonly string[];
  readonly readToken: string;
}

/**
 * Postgres 18: WAL is written and synced by whoever commits, and counted where all input and output is. A backend tells what it has
 * done at most once a second, so that a figure may be off by what happens in a second at each end.
 */
const POSTGRES = `
  SELECT (SELECT wal_bytes FROM pg_stat_wal)::float8 AS "walBytes",
         (SELECT coalesce(sum(fsyncs), 0) FROM pg_stat_io WHERE object = 'wal')::float8 AS "walSyncs",
         (SELECT sum(xact_commit) FROM pg_stat_database)::float8 AS "databaseTransactions"`;

export async function readCounters({ admin, kafkaFolder, coordinatorUrls, readToken }: CounterSources): Promise<Counters> {
  const [postgres, flushes] = await Promise.all([
    admin.query<Pick<Counters, 'walBytes' | 'walSyncs' | 'databaseTransactions'>>(POSTGRES),
    Promise.all(coordinatorUrls.map((url) => flushesOf(url, readToken))),
  ]);
  return { ...postgres.rows[0]!, flushes: flushes.reduce((a, b) => a + b, 0), kafkaBytes: segmentBytes(kafkaFolder) };
}

/** @param transactions committed and aborted between the two; null when there were none */
export function costOf(before: Counters, after: Counters, transactions: number): Cost | null {
  if (transactions === 0) return null;
  const each = (name: keyof Counters): number => (after[name] - before[name]) / transactions;
  return { coordinatorFlushes: each('flushes'), databaseTransactions: each('databaseTransactions'), walSyncs: each('walSyncs'), walBytes: each('walBytes'), kafkaBytes: each('kafkaBytes') };
}

/** Indexes are left out: they are as large as they may become from the beginning. */
export function segmentBytes(folder: string): number {
  let total = 0;
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith('.log')) total += fs.statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return total;
}

async function flushesOf(url: string, token: string): Promise<number> {
  const response = await fetch(`${url}/v1/stats`, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET ${url}/v1/stats answered ${response.status}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { readonly flushes: number }).flushes;
}
