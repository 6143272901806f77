import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createPool, migrate } from '#libs/postgres';
import {
  type BranchProgress, type BranchSpec, createdAtOf, type Json, makeTxid, type Reason, type SagaSpec, type SagaStepSpec, type TransactionOutcome, type TransactionSpec, type Txid,
} from '#libs/protocol';
import type { BeginRow, CoordinatorFlush, DecideRow, EndRow, ProgressKind, ProgressRow, ShardEpoch, SiteRows, TimelineEvent } from '#libs/runtime';
import { eventually } from './eventually.js';

export type Pool = ReturnType<typeof createPool>;

export const BRANCHES: readonly BranchSpec[] = [
  { participant: 'orders', operation: 'place', payload: { orderId: 'o-"1"\\', quantity: 1 } },
  { participant: 'payments', operation: 'debit', payload: null },
];
export const ACCEPTORS: readonly string[] = ['orders', 'payments', 'inv"entory'];
export const YES: BranchProgress = { vote: 'yes', reason: null, result: { seat: '12A' }, acked: false, attempts: 1 };
const ACKED: BranchProgress = { ...YES, acked: true };
export const EVENT: TimelineEvent = { atMs: 1_700_000_000_000, type: 'send', name: 'PREPARE', from: 'coordinator', to: 'orders', branch: 0 };

type Role = Parameters<typeof migrate>[1];
const templates = new Map<Role, Promise<string>>();

/** A database of its own with the tables of the role: a copy of one that was migrated, which is faster than to migrate each. */
export async function freshDatabase(role: Role): Promise<string> {
  const template = templates.get(role) ?? migrated(role);
  templates.set(role, template);
  const url = unusedDatabase();
  const admin = createPool(process.env.PG_ADMIN_URL!, { max: 1, applicationName: 'store-spec' });
  try {
    await admin.query(`CREATE DATABASE ${nameOf(url)} TEMPLATE ${nameOf(await template)}`);
  } finally {
    await admin.end();
  }
  return url;
}

async function migrated(role: Role): Promise<string> {
  const url = unusedDatabase();
  await migrate(url, role);
  return url;
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

export function unusedDatabase(): string {
  const adminUrl = process.env.PG_ADMIN_URL;
  if (adminUrl === undefined) throw new Error('PG_ADMIN_URL is not set: the e2e set-up starts a Postgres and sets it');
  const url = new URL(adminUrl);
  url.pathname = `/store_${randomBytes(5).toString('hex')}`;
  return url.href;
}

let clock = 1_700_000_000_000;

export function newTxid(shard: number, atMs = clock++): Txid {
  return makeTxid(shard, atMs, randomBytes(8));
}

export function begin(txid: Txid, more: Partial<TransactionSpec> & Partial<Omit<BeginRow, 'spec'>> = {}): BeginRow {
  const { metadata = null, idempotency = null, acceptors = more.protocol === 'paxos-commit' ? ACCEPTORS : [], ...spec } = more;
  const createdAtMs = createdAtOf(txid);
  return { spec: { txid, protocol: '2pc', branches: BRANCHES, createdAtMs, deadlineMs: createdAtMs + 10_000, waitFor: 'decided', ...spec }, acceptors, metadata, idempotency };
}

export const STEPS: readonly SagaStepSpec[] = [
  { id: 'place', participant: 'orders', operation: 'place', payload: { orderId: 'o-1' }, kind: 'compensatable', timeoutMs: 1_000, retry: { maxAttempts: 3, firstMs: 10, maxMs: 100 } },
  { id: 'debit', participant: 'payments', operation: 'debit', payload: null, kind: 'pivot', after: ['place'], timeoutMs: 1_000, retry: { maxAttempts: 3, firstMs: 10, maxMs: 100 } },
];

export function beginSaga(txid: Txid, more: Partial<Omit<BeginRow, 'spec'>> = {}): BeginRow {
  const createdAtMs = createdAtOf(txid);
  const spec: SagaSpec = {
    txid, protocol: 'saga', steps: STEPS, createdAtMs, deadlineMs: createdAtMs + 10_000, compensationTimeoutMs: 5_000, attentionAfterAttempts: 10, waitFor: 'finished',
  };
  return { spec, acceptors: [], metadata: null, idempotency: null, ...more };
}

export function progress(txid: Txid, kind: ProgressKind, key: string, data: Json): ProgressRow {
  return { txid, kind, key, data };
}

export function decide(txid: Txid, decision: 'COMMIT' | 'ABORT', reason: Reason | null = decision === 'COMMIT' ? null : { code: 'OUT_OF_STOCK', participant: 'orders' }): DecideRow {
  return { txid, decision, reason, branches: [YES, YES], atMs: 1_700_000_001_000, timeline: [EVENT] };
}

export function end(txid: Txid, outcome: TransactionOutcome, reason: Reason | null = null): EndRow {
  return {
    txid, outcome, reason, resolved: null, branches: [ACKED, ACKED], atMs: 1_700_000_002_000, timeline: [{ ...EVENT, name: 'COMMIT', branch: 1, detail: 'for people' }],
  };
}

export function batch(epochs: readonly ShardEpoch[], rows: Partial<CoordinatorFlush>): CoordinatorFlush {
  return { epochs, begins: [], progress: [], decisions: [], ends: [], ...rows };
}

/** The rows of one site; what is not named is none. */
export function site(rows: Partial<SiteRows>): SiteRows {
  return { branches: [], acceptors: [], leaders: [], ...rows };
}

/** Waits until a session (of that application) of the same database waits for a lock. */
export async function waitingForLock(pool: { query(sql: string, values: unknown[]): Promise<{ rows: unknown[] }> }, application: string | null): Promise<void> {
  await eventually('a session waits for a lock', async () => {
    const { rows } = await pool.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND ($1::text IS NULL OR application_name = $1)`, [application]);
    if (rows.length === 0) throw new Error('none waits');
  }, 10_000);
}

/** Counts how often bytes went out after an answer had come in. */
export function countRoundTrips(client: object): () => number {
  const { stream } = (client as { connection: { stream: Socket } }).connection;
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let trips = 0;
  let answered = true;
  stream.write = ((...args: unknown[]) => {
    if (answered) trips++;
    answered = false;
    return write(...args);
  }) as typeof stream.write;
  stream.on('data', () => { answered = true; });
  return () => trips;
}
