import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type createPool, migrate } from '#libs/postgres';
import { type BranchProgress, type BranchSpec, makeTxid, type Reason, type Txid } from '#libs/protocol';
import type { BeginRow, CoordinatorFlush, DecideRow, EndRow, ShardEpoch, TimelineEvent } from '#libs/runtime';
import { eventually } from './eventually.js';

export type Pool = ReturnType<typeof createPool>;

export const BRANCHES: readonly BranchSpec[] = [
  { participant: 'orders', operation: 'place', payload: { orderId: 'o-"1"\\', quantity: 1 } },
  { participant: 'payments', operation: 'debit', payload: null },
];
export const YES: BranchProgress = { vote: 'yes', reason: null, result: { seat: '12A' }, acked: false, attempts: 1 };
const ACKED: BranchProgress = { ...YES, acked: true };
export const EVENT: TimelineEvent = { atMs: 1_700_000_000_000, type: 'send', name: 'PREPARE', from: 'coordinator', to: 'orders', branch: 0 };

/** A database of its own with the tables of the role. */
export async function freshDatabase(role: Parameters<typeof migrate>[1]): Promise<string> {
  const url = unusedDatabase();
  await migrate(url, role);
  return url;
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

export function begin(txid: Txid, more: Partial<BeginRow['spec']> & Partial<Omit<BeginRow, 'spec'>> = {}): BeginRow {
  const { metadata = null, idempotency = null, ...spec } = more;
  const createdAtMs = Number.parseInt(txid.replace('-', '').slice(0, 12), 16);
  return { spec: { txid, protocol: '2pc', branches: BRANCHES, createdAtMs, deadlineMs: createdAtMs + 10_000, waitFor: 'decided', ...spec }, metadata, idempotency };
}

export function decide(txid: Txid, decision: 'COMMIT' | 'ABORT', reason: Reason | null = decision === 'COMMIT' ? null : { code: 'OUT_OF_STOCK', participant: 'orders' }): DecideRow {
  return { record: { kind: 'DECIDE', txid, decision, reason, branches: [YES, YES], atMs: 1_700_000_001_000 }, timeline: [EVENT] };
}

export function end(txid: Txid, outcome: 'committed' | 'aborted', reason: Reason | null = null): EndRow {
  return { record: { kind: 'END', txid, outcome, reason, branches: [ACKED, ACKED], atMs: 1_700_000_002_000 }, timeline: [{ ...EVENT, name: 'COMMIT', branch: 1, detail: 'for people' }] };
}

export function batch(epochs: readonly ShardEpoch[], rows: Partial<CoordinatorFlush>): CoordinatorFlush {
  return { epochs, begins: [], decisions: [], ends: [], ...rows };
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
