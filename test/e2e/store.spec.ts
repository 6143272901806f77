import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { jest } from '@jest/globals';
import {
  AuditLog, createPool, InvalidCursorError, isTransientDatabaseError, migrate, migrationStatus, ParticipantRegistry, PgCoordinatorStore, revertLast, seedShop, shardList,
  TransactionReader, type TransactionFilter, TypeOrmBranchStore,
} from '#libs/postgres';
import { type BranchProgress, type BranchRow, type BranchSpec, makeTxid, type Reason, type Txid } from '#libs/protocol';
import type { BeginRow, CoordinatorFlush, DecideRow, EndRow, ShardEpoch, TimelineEvent } from '#libs/runtime';
import { DataSource, type EntityManager } from 'typeorm';
import { MIGRATIONS } from '../../migrations/index.js';
import { eventually } from '../support/eventually.js';

jest.setTimeout(60_000);

type Pool = ReturnType<typeof createPool>;

const BRANCHES: readonly BranchSpec[] = [
  { participant: 'orders', operation: 'place', payload: { orderId: 'o-"1"\\', quantity: 1 } },
  { participant: 'payments', operation: 'debit', payload: null },
];
const YES: BranchProgress = { vote: 'yes', reason: null, result: { seat: '12A' }, acked: false, attempts: 1 };
const ACKED: BranchProgress = { ...YES, acked: true };
const EVENT: TimelineEvent = { atMs: 1_700_000_000_000, type: 'send', name: 'PREPARE', from: 'coordinator', to: 'orders', branch: 0 };

/** A database of its own with the tables of the role. */
async function freshDatabase(role: Parameters<typeof migrate>[1]): Promise<string> {
  const url = unusedDatabase();
  await migrate(url, role);
  return url;
}

function unusedDatabase(): string {
  const adminUrl = process.env.PG_ADMIN_URL;
  if (adminUrl === undefined) throw new Error('PG_ADMIN_URL is not set: the e2e set-up starts a Postgres and sets it');
  const url = new URL(adminUrl);
  url.pathname = `/store_${randomBytes(5).toString('hex')}`;
  return url.href;
}

let clock = 1_700_000_000_000;

function newTxid(shard: number, atMs = clock++): Txid {
  return makeTxid(shard, atMs, randomBytes(8));
}

function begin(txid: Txid, more: Partial<BeginRow['spec']> & Partial<Omit<BeginRow, 'spec'>> = {}): BeginRow {
  const { metadata = null, idempotency = null, ...spec } = more;
  const createdAtMs = Number.parseInt(txid.replace('-', '').slice(0, 12), 16);
  return { spec: { txid, protocol: '2pc', branches: BRANCHES, createdAtMs, deadlineMs: createdAtMs + 10_000, waitFor: 'decided', ...spec }, metadata, idempotency };
}

function decide(txid: Txid, decision: 'COMMIT' | 'ABORT', reason: Reason | null = decision === 'COMMIT' ? null : { code: 'OUT_OF_STOCK', participant: 'orders' }): DecideRow {
  return { record: { kind: 'DECIDE', txid, decision, reason, branches: [YES, YES], atMs: 1_700_000_001_000 }, timeline: [EVENT] };
}

function end(txid: Txid, outcome: 'committed' | 'aborted', reason: Reason | null = null): EndRow {
  return { record: { kind: 'END', txid, outcome, reason, branches: [ACKED, ACKED], atMs: 1_700_000_002_000 }, timeline: [{ ...EVENT, name: 'COMMIT', branch: 1, detail: 'for people' }] };
}

function batch(epochs: readonly ShardEpoch[], rows: Partial<CoordinatorFlush>): CoordinatorFlush {
  return { epochs, begins: [], decisions: [], ends: [], ...rows };
}

describe('the coordinator store', () => {
  let url: string;
  let pool: Pool;
  let otherPool: Pool;
  let store: PgCoordinatorStore;
  /** A second process, as far as Postgres can tell. */
  let other: PgCoordinatorStore;
  let reader: TransactionReader;

  beforeAll(async () => {
    url = await freshDatabase('coordinator');
    pool = createPool(url, { max: 4, applicationName: 'store-spec' });
    otherPool = createPool(url, { max: 4, applicationName: 'store-spec-other' });
    store = new PgCoordinatorStore(pool);
    other = new PgCoordinatorStore(otherPool);
    reader = new TransactionReader(pool);
  });

  afterAll(async () => {
    await Promise.all([pool?.end(), otherPool?.end()]);
  });

  let nextShard = 0;
  /** A shard that no other test uses. */
  async function ownShard(): Promise<{ shard: number; epochs: readonly ShardEpoch[] }> {
    const shard = nextShard++;
    return { shard, epochs: await store.acquireShards([shard], 'me') };
  }

  async function count(sql: string, values: unknown[] = []): Promise<number> {
    const { rows } = await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${sql}`, values);
    return rows[0]!.n;
  }

  describe('flush', () => {
    it('writes the begins, decisions and ends of 1,000 transactions in one database transaction', async () => {
      const { shard, epochs } = await ownShard();
      const txids = Array.from({ length: 1000 }, () => newTxid(shard));
      await store.flush(batch(epochs, {
        begins: txids.map((txid, i) => begin(txid, { idempotency: { key: `bulk-${i}`, requestHash: 'h' } })),
        decisions: txids.map((txid) => decide(txid, 'COMMIT')), ends: txids.map((txid) => end(txid, 'committed')),
      }));
      const { rows: writers } = await pool.query<{ xmin: string; n: number }>(`
        SELECT xmin::text, count(*)::int AS n FROM (
          SELECT xmin, txid FROM tx_begin UNION ALL SELECT xmin, txid FROM tx_decision UNION ALL SELECT xmin, txid FROM tx_end UNION ALL SELECT xmin, txid FROM idempotency_key) AS written
         WHERE txid = ANY ($1::uuid[]) GROUP BY xmin`, [txids]);
      expect(writers).toEqual([{ xmin: expect.any(String), n: 4000 }]);
      expect(await count('tx_open WHERE shard = $1', [shard])).toBe(0);
    });

    it('takes one round trip, whatever it writes', async () => {
      const { shard, epochs } = await ownShard();
      const txids = [newTxid(shard), newTxid(shard)];
      const single = createPool(url, { max: 1, applicationName: 'store-spec' });
      const client = await single.connect();
      const roundTrips = countRoundTrips(client);
      client.release();
      await new PgCoordinatorStore(single).flush(batch(epochs, {
        begins: txids.map((txid) => begin(txid, { idempotency: { key: txid, requestHash: 'h' } })), decisions: txids.map((txid) => decide(txid, 'COMMIT')), ends: [end(txids[0]!, 'committed')],
      }));
      expect(roundTrips()).toBe(1);
      await single.end();
    });

    it('reads no more when the tables have grown, though its plans are made while they are empty', async () => {
      const young = createPool(await freshDatabase('coordinator'), { max: 1, applicationName: 'store-spec' });
      const youngStore = new PgCoordinatorStore(young);
      const epochs = await youngStore.acquireShards([0], 'me');
      const readSoFar = async (): Promise<number> => {
        await young.query('SELECT pg_stat_force_next_flush()');
        const { rows } = await young.query<{ n: number }>(`
          SELECT ((SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes))::int AS n`);
        return rows[0]!.n;
      };
      const reads: number[] = [];
      for (let i = 0; i < 12; i++) {
        const txids = Array.from({ length: 50 }, () => newTxid(0));
        const before = await readSoFar();
        await youngStore.flush(batch(epochs, {
          begins: txids.map((txid) => begin(txid, { idempotency: { key: txid, requestHash: 'h' } })), decisions: txids.map((txid) => decide(txid, 'COMMIT')), ends: txids.map((txid) => end(txid, 'committed')),
        }));
        reads.push(await readSoFar() - before);
      }
      await young.end();
      expect(reads[1]).toBeGreaterThan(0);
      expect(reads.at(-1)).toBeLessThan(reads[1]! * 1.5);
    });

    it('may be sent again after a lost answer and changes nothing', async () => {
      const { shard, epochs } = await ownShard();
      const txid = newTxid(shard);
      const rows = { begins: [begin(txid, { idempotency: { key: 'again', requestHash: 'h' } })], decisions: [decide(txid, 'COMMIT')], ends: [end(txid, 'committed')] };
      const first = await store.flush(batch(epochs, rows));
      const second = await store.flush(batch(epochs, rows));
      expect(second).toEqual(first);
      expect(second.duplicates.size).toBe(0);
      expect(second.register.get(txid)).toEqual({ decision: 'COMMIT', reason: null, branches: [YES, YES], atMs: 1_700_000_001_000 });
      expect(await count('tx_open WHERE txid = $1', [txid])).toBe(0);
    });

    it('keeps what it was given, to the last quote', async () => {
      const { shard, epochs } = await ownShard();
      const txid = newTxid(shard);
      const row = begin(txid, { metadata: { note: 'a "quoted" \\ { } , NULL\n\t é 漢', nested: [null, 1.5] }, waitFor: 'finished', idempotency: { key: 'k "1", {x}\\', requestHash: 'h' } });
      await store.flush(batch(epochs, { begins: [row] }));
      expect(await store.loadUnfinished(shard, null, 10)).toEqual([{ begin: row, register: null }]);
    });

    it('lets nothing in when one row is refused', async () => {
      const { shard, epochs } = await ownShard();
      const [good, bad] = [newTxid(shard), newTxid(shard)];
      const refused = store.flush(batch(epochs, { begins: [begin(good)], ends: [end(bad, 'never' as 'aborted')] }));
      await expect(refused).rejects.toMatchObject({ code: '23514' });
      expect(await count('tx_begin WHERE txid = $1', [good])).toBe(0);
      await expect(store.flush(batch(epochs, { begins: [begin(good)] }))).resolves.toMatchObject({ fenced: [] });
      expect(await count('tx_begin WHERE txid = $1', [good])).toBe(1);
    });
  });

  describe('idempotency keys', () => {
    it('give each key to exactly one of two stores that race for many, and name the winner to the loser', async () => {
      const { shard, epochs } = await ownShard();
      const keys = Array.from({ length: 200 }, (_, i) => `race-${i}`);
      const attempt = (hash: string, order: readonly string[]): BeginRow[] => order.map((key) => begin(newTxid(shard), { idempotency: { key, requestHash: hash } }));
      const [mine, theirs] = [attempt('mine', keys), attempt('theirs', keys.toReversed())];
      const [a, b] = await Promise.all([store.flush(batch(epochs, { begins: mine })), other.flush(batch(epochs, { begins: theirs }))]);
      expect(a.duplicates.size + b.duplicates.size).toBe(keys.length);
      const begun = new Set((await reader.read([...mine, ...theirs].map((row) => row.spec.txid))).keys());
      expect(begun.size).toBe(keys.length);
      for (const [rows, result] of [[mine, a], [theirs, b]] as const) {
        for (const row of rows) {
          const duplicate = result.duplicates.get(row.spec.txid);
          const owner = await reader.idempotency(row.idempotency!.key);
          expect(begun.has(row.spec.txid)).toBe(duplicate === undefined);
          if (duplicate === undefined) expect(owner).toEqual({ txid: row.spec.txid, requestHash: row.idempotency!.requestHash });
          else expect(duplicate).toEqual(owner);
        }
      }
    });

    it('lets the first of two in the same flush have the key', async () => {
      const { shard, epochs } = await ownShard();
      const rows = [1, 2].map((n) => begin(newTxid(shard), { idempotency: { key: 'same-flush', requestHash: `h${n}` } }));
      const { duplicates } = await store.flush(batch(epochs, { begins: rows }));
      expect(duplicates).toEqual(new Map([[rows[1]!.spec.txid, { txid: rows[0]!.spec.txid, requestHash: 'h1' }]]));
      expect((await store.loadUnfinished(shard, null, 10)).map((u) => u.begin)).toEqual([rows[0]]);
    });
  });

  describe('the register', () => {
    it('holds exactly one decision when two stores race, and both read the same', async () => {
      const { shard, epochs } = await ownShard();
      const txids = Array.from({ length: 200 }, () => newTxid(shard));
      await store.flush(batch(epochs, { begins: txids.map((txid) => begin(txid)) }));
      const [a, b] = await Promise.all([
        store.flush(batch(epochs, { decisions: txids.map((txid) => decide(txid, 'COMMIT')) })),
        other.flush(batch(epochs, { decisions: txids.toReversed().map((txid) => decide(txid, 'ABORT')) })),
      ]);
      expect(a.register.size).toBe(txids.length);
      for (const txid of txids) expect(a.register.get(txid)).toEqual(b.register.get(txid));
      const views = await reader.read(txids);
      for (const txid of txids) expect(views.get(txid)!.status).toBe(a.register.get(txid)!.decision === 'COMMIT' ? 'committed' : 'aborted');
    });

    it('keeps its first decision for good and tells it to whoever comes later', async () => {
      const { shard, epochs } = await ownShard();
      const txid = newTxid(shard);
      await store.flush(batch(epochs, { begins: [begin(txid)], decisions: [decide(txid, 'ABORT')] }));
      const { register } = await other.flush(batch(epochs, { decisions: [decide(txid, 'COMMIT')] }));
      expect(register.get(txid)).toMatchObject({ decision: 'ABORT', reason: { code: 'OUT_OF_STOCK', participant: 'orders' } });
    });

    it('presumes abort where nothing is decided, and says what is decided elsewhere', async () => {
      const { shard, epochs } = await ownShard();
      const [committed, undecided, unknown, readOnly] = [newTxid(shard), newTxid(shard), newTxid(shard), newTxid(shard)];
      await store.flush(batch(epochs, { begins: [committed, undecided, readOnly].map((txid) => begin(txid)), decisions: [decide(committed, 'COMMIT')], ends: [end(readOnly, 'committed')] }));
      const register = await other.presumeAbort([committed, undecided, unknown, readOnly], 1_700_000_009_000);
      expect(register.get(committed)).toMatchObject({ decision: 'COMMIT' });
      expect(register.get(undecided)).toEqual({ decision: 'ABORT', reason: expect.objectContaining({ code: 'NO_RECORD' }), branches: [], atMs: 1_700_000_009_000 });
      expect(register.get(unknown)).toMatchObject({ decision: 'ABORT' });
      expect(register.get(readOnly)).toMatchObject({ decision: 'COMMIT' });
      const late = await store.flush(batch(epochs, { decisions: [decide(undecided, 'COMMIT')] }));
      expect(late.register.get(undecided)).toMatchObject({ decision: 'ABORT', reason: { code: 'NO_RECORD' } });
      expect((await reader.read([readOnly])).get(readOnly)).toMatchObject({ status: 'committed', reason: null });
    });
  });

  describe('shards', () => {
    it('raise their epoch by one with each owner', async () => {
      const { shard } = await ownShard();
      const [again] = await other.acquireShards([shard, shard], 'you');
      expect(again).toEqual({ shard, epoch: 2 });
      expect(await store.shardEpochs([shard, 4095])).toEqual([again]);
      expect((await shardList(pool)).find((s) => s.shard === shard)).toMatchObject({ epoch: 2, owner: 'you', acquiredAtMs: expect.any(Number) });
    });

    it('fence a flush of an older epoch: nothing of that shard is written, everything of the others is', async () => {
      const [lost, kept] = [await ownShard(), await ownShard()];
      const [decided, open] = [newTxid(lost.shard), newTxid(lost.shard)];
      await store.flush(batch(lost.epochs, { begins: [begin(decided), begin(open)] }));
      await other.acquireShards([lost.shard], 'you');
      const [mine, theirs] = [newTxid(kept.shard), newTxid(lost.shard)];
      const result = await store.flush(batch([...lost.epochs, ...kept.epochs], {
        begins: [begin(mine), begin(theirs, { idempotency: { key: 'fenced-key', requestHash: 'h' } })], decisions: [decide(decided, 'COMMIT'), decide(mine, 'COMMIT')], ends: [end(open, 'aborted'), end(mine, 'committed')],
      }));
      expect(result.fenced).toEqual([lost.shard]);
      expect([...result.register.keys()]).toEqual([mine]);
      expect(await reader.idempotency('fenced-key')).toBeNull();
      expect(await count('tx_decision WHERE txid = $1', [decided])).toBe(0);
      expect((await store.loadUnfinished(lost.shard, null, 10)).map((u) => u.begin.spec.txid)).toEqual([decided, open]);
      expect((await reader.read([mine, theirs])).get(mine)).toMatchObject({ status: 'committed', finishedAtMs: 1_700_000_002_000 });
      expect((await reader.read([theirs])).size).toBe(0);
    });

    it('fence a flush under a shard that nobody owns or that the flush does not name', async () => {
      const { shard, epochs } = await ownShard();
      const [unowned, unnamed] = [newTxid(4000), newTxid(4001)];
      const result = await store.flush(batch([...epochs, { shard: 4000, epoch: 1 }], { begins: [begin(unowned), begin(unnamed), begin(newTxid(shard))] }));
      expect(result.fenced).toEqual([4000]);
      expect((await reader.read([unowned, unnamed])).size).toBe(0);
    });

    it('are handed over only after a flush under the old epoch has ended, so that the new owner loads what it wrote', async () => {
      const { shard, epochs } = await ownShard();
      const txid = newTxid(shard);
      const holder = await pool.connect();
      await holder.query('BEGIN');
      await holder.query("INSERT INTO idempotency_key (key, txid, request_hash) VALUES ('held', $1, 'h')", [newTxid(shard)]);
      const flushing = store.flush(batch(epochs, { begins: [begin(txid, { idempotency: { key: 'held', requestHash: 'h' } })] }));
      await waitingForLock(pool, 'store-spec');
      let acquired = false;
      const acquiring = other.acquireShards([shard], 'you').then((result) => { acquired = true; return result; });
      await waitingForLock(pool, 'store-spec-other');
      expect(acquired).toBe(false);
      await holder.query('ROLLBACK');
      holder.release();
      expect((await flushing).fenced).toEqual([]);
      expect(await acquiring).toEqual([{ shard, epoch: epochs[0]!.epoch + 1 }]);
      expect((await other.loadUnfinished(shard, null, 10)).map((u) => u.begin.spec.txid)).toEqual([txid]);
    });
  });

  it('gives the unfinished transactions of one shard in pages in txid order', async () => {
    const { shard, epochs } = await ownShard();
    const txids = Array.from({ length: 25 }, () => newTxid(shard));
    await store.flush(batch(epochs, { begins: txids.toReversed().map((txid) => begin(txid)), decisions: [decide(txids[1]!, 'COMMIT')], ends: [end(txids[3]!, 'committed')] }));
    const pages: number[] = [];
    const loaded = [];
    for (let after: Txid | null = null; ;) {
      const page = await store.loadUnfinished(shard, after, 10);
      pages.push(page.length);
      loaded.push(...page);
      if (page.length < 10) break;
      after = page.at(-1)!.begin.spec.txid;
    }
    expect(pages).toEqual([10, 10, 4]);
    expect(loaded.map((u) => u.begin.spec.txid)).toEqual(txids.filter((txid) => txid !== txids[3]));
    expect(loaded[1]!.register).toEqual({ decision: 'COMMIT', reason: null, branches: [YES, YES], atMs: 1_700_000_001_000 });
  });

  it('tells faults that pass from faults that stay', async () => {
    const gone = createPool('postgres://postgres@127.0.0.1:1/none', { max: 1, applicationName: 'store-spec' });
    const refused = await gone.query('SELECT 1').catch((error: unknown) => error);
    await gone.end();
    expect(isTransientDatabaseError(refused)).toBe(true);
    expect(isTransientDatabaseError(new AggregateError([refused], ''))).toBe(true);
    const terminated = otherPool.query('SELECT pg_terminate_backend(pg_backend_pid())').catch((error: unknown) => error);
    expect(isTransientDatabaseError(await terminated)).toBe(true);
    const wrong = await pool.query('SELECT 1/0').catch((error: unknown) => error);
    expect(isTransientDatabaseError(wrong)).toBe(false);
    expect(isTransientDatabaseError(new TypeError('a bug'))).toBe(false);
    await expect(other.shardEpochs([0])).resolves.toHaveLength(1);
  });
});

describe('the read side', () => {
  const T0 = 1_800_000_000_000;
  const MINUTE = 60_000;
  let pool: Pool;
  let reader: TransactionReader;
  const NAMES = ['committed', 'finished', 'refused', 'timedOut', 'pending', 'readOnly', 'onePhaseAbort', 'saga'] as const;
  const ids = Object.fromEntries(NAMES.map((name, i) => [name, newTxid(i % 2, T0 + i * MINUTE)])) as Readonly<Record<(typeof NAMES)[number], Txid>>;

  beforeAll(async () => {
    pool = createPool(await freshDatabase('coordinator'), { max: 2, applicationName: 'reader-spec' });
    reader = new TransactionReader(pool);
    const store = new PgCoordinatorStore(pool);
    const epochs = await store.acquireShards([0, 1], 'me');
    const alone = [BRANCHES[1]!];
    await store.flush(batch(epochs, {
      begins: [
        ...[ids.committed, ids.finished, ids.refused, ids.timedOut, ids.pending, ids.readOnly].map((txid) => begin(txid, { metadata: { source: 'web' } })),
        begin(ids.onePhaseAbort, { branches: alone }), begin(ids.saga, { protocol: 'saga' }),
      ],
      decisions: [decide(ids.committed, 'COMMIT'), decide(ids.finished, 'COMMIT'), decide(ids.refused, 'ABORT'), decide(ids.timedOut, 'ABORT', { code: 'PREPARE_TIMEOUT' })],
    }));
    await store.flush(batch(epochs, {
      ends: [
        end(ids.finished, 'committed'), end(ids.refused, 'aborted', { code: 'OUT_OF_STOCK', participant: 'orders' }), end(ids.readOnly, 'committed'),
        { ...end(ids.onePhaseAbort, 'aborted', { code: 'INSUFFICIENT_FUNDS', participant: 'payments' }) },
      ],
    }));
  });

  afterAll(async () => pool?.end());

  async function names(filter: TransactionFilter): Promise<string[]> {
    const { items } = await reader.list(filter);
    return items.map((item) => Object.entries(ids).find(([, txid]) => txid === item.txid)![0]);
  }

  it('shows a transaction from what was flushed of it', async () => {
    const views = await reader.read(Object.values(ids));
    expect(views.get(ids.finished)).toEqual({
      txid: ids.finished, protocol: '2pc', status: 'committed', reason: null, metadata: { source: 'web' },
      createdAtMs: T0 + MINUTE, deadlineMs: T0 + MINUTE + 10_000, decidedAtMs: 1_700_000_001_000, finishedAtMs: 1_700_000_002_000,
      branches: [
        { index: 0, participant: 'orders', operation: 'place', state: 'committed', vote: 'yes', result: { seat: '12A' }, attempts: 1 },
        { index: 1, participant: 'payments', operation: 'debit', state: 'committed', vote: 'yes', result: { seat: '12A' }, attempts: 1 },
      ],
    });
    expect(views.get(ids.committed)).toMatchObject({ status: 'committed', finishedAtMs: null, branches: [{ state: 'prepared' }, { state: 'prepared' }] });
    expect(views.get(ids.pending)).toMatchObject({ status: 'pending', decidedAtMs: null, branches: [{ state: 'waiting', vote: null, attempts: 0 }, { state: 'waiting' }] });
    expect(views.get(ids.refused)).toMatchObject({ status: 'aborted', reason: { code: 'OUT_OF_STOCK' } });
    expect(views.get(ids.readOnly)).toMatchObject({ status: 'committed', decidedAtMs: 1_700_000_002_000 });
    expect(views.get(ids.onePhaseAbort)).toMatchObject({ status: 'aborted', reason: { code: 'INSUFFICIENT_FUNDS' } });
  });

  it('joins the parts of a timeline', async () => {
    expect(await reader.timeline(ids.finished)).toEqual([expect.objectContaining({ type: 'record', name: 'BEGIN', atMs: T0 + MINUTE }), EVENT, { ...EVENT, name: 'COMMIT', branch: 1, detail: 'for people' }]);
    expect((await reader.timeline(ids.pending))!.map((e) => e.name)).toEqual(['BEGIN']);
    expect(await reader.timeline(newTxid(0))).toBeNull();
  });

  it('filters by status, protocol, participant, reason and time, newest first', async () => {
    expect(await names({})).toEqual(['saga', 'onePhaseAbort', 'readOnly', 'pending', 'timedOut', 'refused', 'finished', 'committed']);
    expect(await names({ status: 'pending' })).toEqual(['saga', 'pending']);
    expect(await names({ status: 'committed' })).toEqual(['readOnly', 'finished', 'committed']);
    expect(await names({ status: 'aborted' })).toEqual(['onePhaseAbort', 'timedOut', 'refused']);
    expect(await names({ protocol: 'saga' })).toEqual(['saga']);
    expect(await names({ participant: 'orders', status: 'aborted' })).toEqual(['timedOut', 'refused']);
    expect(await names({ participant: 'nobody' })).toEqual([]);
    expect(await names({ reason: 'PREPARE_TIMEOUT' })).toEqual(['timedOut']);
    expect(await names({ reason: 'INSUFFICIENT_FUNDS' })).toEqual(['onePhaseAbort']);
    expect(await names({ reason: 'PREPARE_TIMEOUT', status: 'committed' })).toEqual([]);
    expect(await names({ sinceMs: T0 + 2 * MINUTE, untilMs: T0 + 4 * MINUTE })).toEqual(['timedOut', 'refused']);
  });

  it('pages by an opaque cursor under every filter, and refuses one that it did not make', async () => {
    for (const filter of [{}, { status: 'aborted' }, { status: 'pending' }, { participant: 'payments' }] as const) {
      const all = await names(filter);
      const paged: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await reader.list({ ...filter, limit: 1, ...(cursor === undefined ? {} : { cursor }) });
        expect(page.items).toHaveLength(1);
        paged.push(Object.entries(ids).find(([, txid]) => txid === page.items[0]!.txid)![0]);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(paged).toEqual(all);
    }
    for (const cursor of ['', 'nonsense', ids.saga, "' OR 1=1"]) await expect(reader.list({ cursor })).rejects.toThrow(InvalidCursorError);
  });

  it('counts, by outcome and reason', async () => {
    expect(await reader.counts(T0)).toEqual({
      sinceMs: T0, begun: 8, committed: 3, aborted: 3, reasons: { OUT_OF_STOCK: 1, PREPARE_TIMEOUT: 1, INSUFFICIENT_FUNDS: 1 }, pending: 2, unfinished: 4,
    });
    expect(await reader.counts(T0 + 5 * MINUTE)).toMatchObject({ begun: 3, committed: 1, aborted: 1 });
  });

  it('tells outcomes in the order of their decision, from any point on', async () => {
    const all = await reader.decidedSince({ atMs: 0 }, 100);
    expect(all.map((e) => [e.txid, e.status])).toEqual([
      [ids.committed, 'committed'], [ids.finished, 'committed'], [ids.refused, 'aborted'], [ids.timedOut, 'aborted'], [ids.readOnly, 'committed'], [ids.onePhaseAbort, 'aborted'],
    ]);
    const { decidedAtMs: atMs, txid } = all[2]!;
    expect(await reader.decidedSince({ atMs, txid }, 2)).toEqual(all.slice(3, 5));
  });

  it('knows the participants, what they offer, and which are paused', async () => {
    const registry = new ParticipantRegistry(pool);
    const announce = (instance: string, version: string, names: readonly string[]) => ({
      kind: 'ANNOUNCE' as const, participant: 'payments', instance, version, operations: names.map((name) => ({ name, payloadSchema: { title: version } })),
    });
    await registry.announce([announce('a', '1', ['debit', 'refund'])]);
    await registry.announce([announce('b', '1', ['debit']), announce('b', '2', ['debit', 'credit'])]);
    expect(await registry.setPaused('payments', true)).toBe(true);
    await registry.announce([announce('a', '1', ['debit', 'refund'])]);
    const [payments, ...rest] = await registry.list();
    expect(rest).toEqual([]);
    expect(payments).toMatchObject({ name: 'payments', paused: true, instances: [{ instance: 'a', version: '1', live: true }, { instance: 'b', version: '2', live: true }] });
    expect(Object.fromEntries(payments!.operations.map((o) => [o.name, o.payloadSchema]))).toEqual({ debit: { title: '2' }, refund: { title: '1' }, credit: { title: '2' } });
    expect(payments!.lastSeenMs).toBe(payments!.instances[0]!.lastSeenMs);
    expect(await registry.setPaused('nobody', true)).toBe(false);
  });

  it('believes live instances only, as long as there are any', async () => {
    const registry = new ParticipantRegistry(pool);
    const announce = (instance: string, name: string) => ({ kind: 'ANNOUNCE' as const, participant: 'stale', instance, version: '1', operations: [{ name, payloadSchema: {} }] });
    await registry.announce([announce('old', 'gone'), announce('new', 'there')]);
    const offered = async (): Promise<string[]> => (await registry.list()).find((p) => p.name === 'stale')!.operations.map((o) => o.name);
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '2 minutes' WHERE instance = 'old'");
    expect(await offered()).toEqual(['there']);
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '3 minutes' WHERE participant = 'stale' AND instance = 'new'");
    expect(await offered()).toEqual(['gone']);
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '2 days' WHERE participant = 'stale'");
    await registry.announce([announce('newest', 'there')]);
    expect((await registry.list()).find((p) => p.name === 'stale')!.instances.map((i) => i.instance)).toEqual(['newest']);
  });

  it('keeps the audit in order, in pages, by target', async () => {
    const audit = new AuditLog(pool);
    for (const n of [1, 2, 3]) await audit.append({ actor: 'operate', action: 'cancel', target: n === 2 ? 'participant/payments' : ids.pending, comment: n === 1 ? null : `no. ${n}`, result: 'done' });
    const first = await audit.list(null, 2);
    expect(first.items).toMatchObject([{ comment: 'no. 3', atMs: expect.any(Number) }, { comment: 'no. 2' }]);
    const second = await audit.list(first.nextCursor, 2);
    expect(second).toMatchObject({ items: [{ comment: null, actor: 'operate', action: 'cancel', result: 'done' }], nextCursor: null });
    expect((await audit.list(null, 10, 'participant/payments')).items).toHaveLength(1);
    await expect(audit.list('1; DROP TABLE audit', 1)).rejects.toThrow(InvalidCursorError);
  });
});

describe('migrations', () => {
  it('create and fill a missing database once, however many call at the same time', async () => {
    const url = unusedDatabase();
    const reports = await Promise.all(Array.from({ length: 5 }, () => migrate(url, 'payments')));
    expect(reports.filter((r) => r.created)).toHaveLength(1);
    expect(reports.flatMap((r) => r.applied)).toEqual(['Branch0000000000001', 'Accounts0000000000001']);
    expect(await migrate(url, 'payments')).toMatchObject({ created: false, applied: [] });
  });

  it('are all listed, in the order of their numbers', () => {
    for (const [set, classes] of Object.entries(MIGRATIONS)) {
      const numbers = fs.readdirSync(`migrations/${set}`).map((file) => Number(/^(\d{4})-[a-z-]+\.ts$/.exec(file)?.[1]));
      expect(classes.map((migration) => Number(new migration().name!.slice(-13)))).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  it('seed the shop once, however many do it', async () => {
    const pool = createPool(await freshDatabase('payments'), { max: 4, applicationName: 'seed-spec' });
    await Promise.all([1, 2, 3].map(() => seedShop('payments', (sql) => pool.query(sql))));
    await pool.query("UPDATE account SET balance_cents = 5 WHERE customer_id = 'c-1'");
    await seedShop('payments', (sql) => pool.query(sql));
    const { rows } = await pool.query('SELECT count(*)::int AS n, sum(balance_cents)::text AS cents, min(balance_cents)::text AS least FROM account');
    await pool.end();
    expect(rows).toEqual([{ n: 10_000, cents: '9999000005', least: '5' }]);
  });

  it.each(['coordinator', 'participant', 'orders', 'payments', 'inventory'] as const)('of %s can be taken back to nothing and applied again', async (role) => {
    const url = unusedDatabase();
    expect((await migrationStatus(url, role)).every((m) => !m.applied)).toBe(true);
    const { applied } = await migrate(url, role);
    expect((await migrationStatus(url, role)).map((m) => m.name)).toEqual(applied);
    const reverted: string[] = [];
    for (let name = await revertLast(url, role); name !== null; name = await revertLast(url, role)) reverted.push(name);
    expect(reverted).toEqual(applied.toReversed());
    expect((await migrate(url, role)).applied).toEqual(applied);
  });

  it('say which part of a database URL is wrong', async () => {
    await expect(migrate('localhost/shop', 'orders')).rejects.toMatchObject({ code: 'INVALID_DATABASE_URL' });
    await expect(migrate(new URL('/', process.env.PG_ADMIN_URL).href, 'orders')).rejects.toMatchObject({ code: 'INVALID_DATABASE_URL', message: expect.stringContaining('names no database') });
  });
});

describe('the branch store', () => {
  let source: DataSource;
  let store: TypeOrmBranchStore;

  beforeAll(async () => {
    source = await new DataSource({ type: 'postgres', url: await freshDatabase('payments'), extra: { max: 4, pipeline: true } }).initialize();
    await source.query("INSERT INTO account (customer_id, balance_cents) VALUES ('c-1', 1000)");
    store = new TypeOrmBranchStore(source);
  });

  afterAll(async () => source?.destroy());

  function row(txid: Txid, more: Partial<BranchRow> = {}): BranchRow {
    return {
      txid, branch: 1, state: 'prepared', onePhase: false, operation: 'debit', payload: { customerId: 'c-1', note: '"{\\}"' }, peers: ['orders', 'pay"ments\\'], reason: null, result: null,
      updatedAtMs: 1_700_000_000_123, ...more,
    };
  }

  const stored = (txid: Txid): Promise<readonly BranchRow[]> => store.transact((tx) => tx.load([0, 1, 2].map((branch) => ({ txid, branch }))));

  async function balance(): Promise<string> {
    const [account] = await source.query("SELECT balance_cents FROM account WHERE customer_id = 'c-1'");
    return account.balance_cents;
  }

  const spend = (manager: EntityManager): Promise<unknown> => manager.query("UPDATE account SET balance_cents = balance_cents - 1 WHERE customer_id = 'c-1'");

  it('inserts what was not there and updates what was, in one set each', async () => {
    const [old, fresh] = [newTxid(0), newTxid(0)];
    await store.transact(async (tx) => { await tx.save([row(old), row(old, { branch: 2, payload: null, peers: [] })]); });
    await store.transact(async (tx) => {
      const [loaded] = await tx.load([{ txid: fresh, branch: 1 }, { txid: old, branch: 1 }]);
      await tx.save([{ ...loaded!, state: 'committed', updatedAtMs: 1_700_000_000_999 }, row(fresh, { state: 'aborted', operation: '', payload: null, reason: { code: 'CANCELLED' } })]);
    });
    expect(await stored(old)).toEqual([row(old, { state: 'committed', updatedAtMs: 1_700_000_000_999 }), row(old, { branch: 2, payload: null, peers: [] })]);
    expect(await stored(fresh)).toEqual([row(fresh, { state: 'aborted', operation: '', payload: null, reason: { code: 'CANCELLED' } })]);
  });

  it('writes a payload that has changed, and saves the same row twice in one transaction', async () => {
    const txid = newTxid(0);
    await store.transact(async (tx) => {
      await tx.save([row(txid)]);
      await tx.save([row(txid, { payload: { changed: true }, result: { held: 5 } })]);
    });
    expect(await stored(txid)).toEqual([row(txid, { payload: { changed: true }, result: { held: 5 } })]);
  });

  it('leaves neither rows nor effects behind when the work fails', async () => {
    const txid = newTxid(0);
    const before = await balance();
    await expect(store.transact(async (tx) => {
      await spend(tx.handle);
      await tx.save([row(txid)]);
      throw new Error('handler bug');
    })).rejects.toThrow('handler bug');
    expect(await stored(txid)).toEqual([]);
    expect(await balance()).toBe(before);
  });

  it('undoes a failed savepoint alone', async () => {
    const txid = newTxid(0);
    const before = Number(await balance());
    await store.transact(async (tx) => {
      await spend(tx.handle);
      await expect(tx.savepoint(async () => {
        await spend(tx.handle);
        await tx.handle.query('SELECT 1/0');
      })).rejects.toMatchObject({ code: '22012' });
      expect(await tx.savepoint(async () => 'kept')).toBe('kept');
      await tx.save([row(txid)]);
    });
    expect(Number(await balance())).toBe(before - 1);
    expect(await stored(txid)).toHaveLength(1);
  });

  it('does not report success when a handler swallowed an error of the database', async () => {
    const txid = newTxid(0);
    await expect(store.transact(async (tx) => {
      await tx.save([row(txid)]);
      await tx.handle.query('SELECT 1/0').catch(() => undefined);
    })).rejects.toThrow('caught an error of the database');
    expect(await stored(txid)).toEqual([]);
  });

  it('fails transiently when another process inserts the row between load and save', async () => {
    const txid = newTxid(0);
    const race = store.transact(async (tx) => {
      expect(await tx.load([{ txid, branch: 1 }])).toEqual([]);
      await store.transact(async (faster) => { await faster.save([row(txid, { state: 'aborted' })]); });
      await spend(tx.handle);
      await tx.save([row(txid)]);
    });
    const error = await race.catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'BRANCH_RACE' });
    expect(store.isTransient(error)).toBe(true);
    expect(await stored(txid)).toEqual([row(txid, { state: 'aborted' })]);
  });

  it('holds loaded rows until the flush', async () => {
    const txid = newTxid(0);
    await store.transact(async (tx) => { await tx.save([row(txid)]); });
    let second: Promise<readonly BranchRow[]> | undefined;
    await store.transact(async (tx) => {
      const [loaded] = await tx.load([{ txid, branch: 1 }]);
      second = stored(txid);
      await waitingForLock({ query: async (sql: string, values: unknown[]) => ({ rows: await source.query(sql, values) }) }, null);
      await tx.save([{ ...loaded!, state: 'committed' }]);
    });
    expect(await second).toMatchObject([{ state: 'committed' }]);
  });

  it('gives prepared branches in pages in key order', async () => {
    await source.query('DELETE FROM concordat_branch');
    const txids = Array.from({ length: 5 }, () => newTxid(0));
    await store.transact((tx) => tx.save([...txids.toReversed().flatMap((txid) => [row(txid, { branch: 2 }), row(txid, { branch: 0 })]), row(newTxid(0), { state: 'committed' })]));
    const keys: string[] = [];
    const sizes: number[] = [];
    for (let after: BranchRow | null = null; ;) {
      const page: readonly BranchRow[] = await store.loadPrepared(after, 4);
      sizes.push(page.length);
      keys.push(...page.map((r) => `${r.txid}/${r.branch}`));
      if (page.length < 4) break;
      after = page.at(-1)!;
    }
    expect(sizes).toEqual([4, 4, 2]);
    expect(keys).toEqual(txids.flatMap((txid) => [`${txid}/0`, `${txid}/2`]));
  });

  it('tells a refused row of a handler from a fault that passes', async () => {
    const error = await store.transact((tx) => tx.handle.query("INSERT INTO account (customer_id, balance_cents) VALUES ('c-1', 1)")).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: '23505' });
    expect(store.isTransient(error)).toBe(false);
    const killed = await store.transact((tx) => tx.handle.query('SELECT pg_terminate_backend(pg_backend_pid())')).catch((e: unknown) => e);
    expect(store.isTransient(killed)).toBe(true);
  });
});

/** Waits until a session (of that application) of the same database waits for a lock. */
async function waitingForLock(pool: { query(sql: string, values: unknown[]): Promise<{ rows: unknown[] }> }, application: string | null): Promise<void> {
  await eventually('a session waits for a lock', async () => {
    const { rows } = await pool.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND ($1::text IS NULL OR application_name = $1)`, [application]);
    if (rows.length === 0) throw new Error('none waits');
  }, 10_000);
}

/** Counts how often bytes went out after an answer had come in. */
function countRoundTrips(client: object): () => number {
  const { stream } = (client as { connection: { stream: import('node:net').Socket } }).connection;
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
