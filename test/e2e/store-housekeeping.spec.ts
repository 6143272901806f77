import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { AuditLog, createPool, Housekeeper, type HousekeeperOptions, ParticipantRegistry, PgCoordinatorStore, revertLast, TransactionReader } from '#libs/postgres';
import { makeTxid, type Txid } from '#libs/protocol';
import type { ShardEpoch } from '#libs/runtime';
import { eventually } from '../support/eventually.js';
import { batch, begin, beginSaga, decide, end, freshDatabase, type Pool, progress } from '../support/store.js';

jest.setTimeout(60_000);

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Noon of some day. */
const NOW = Math.floor(Date.now() / DAY) * DAY + 12 * HOUR;

describe('the coordinator\'s housekeeper', () => {
  let url: string;
  let pool: Pool;
  let store: PgCoordinatorStore;
  let reader: TransactionReader;
  let epochs: readonly ShardEpoch[];

  beforeEach(async () => {
    url = await freshDatabase('coordinator');
    pool = createPool(url, { max: 6, applicationName: 'housekeeping-spec' });
    store = new PgCoordinatorStore(pool);
    reader = new TransactionReader(pool);
    epochs = await store.acquireShards([0], 'me');
  });

  afterEach(async () => pool?.end());

  const keeper = (now: number, more: Partial<HousekeeperOptions> = {}): Housekeeper => new Housekeeper(pool, { role: 'coordinator', now: () => now, ...more });
  const txidAt = (atMs: number): Txid => makeTxid(0, atMs, randomBytes(8));

  async function partitions(table: string): Promise<readonly string[]> {
    const { rows } = await pool.query<{ name: string }>('SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1', [table]);
    return rows.map((row) => row.name);
  }

  async function count(table: string): Promise<number> {
    const { rows } = await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
    return rows[0]!.n;
  }

  /** Begun, committed and ended at that time, as the clocks say. */
  async function finished(atMs: number, key: string | null = null): Promise<Txid> {
    const txid = txidAt(atMs);
    await store.flush(batch(epochs, {
      begins: [begin(txid, key === null ? {} : { idempotency: { key, requestHash: 'h' } })],
      decisions: [{ ...decide(txid, 'COMMIT'), atMs }], ends: [{ ...end(txid, 'committed'), atMs }],
    }));
    return txid;
  }

  it('makes partitions for today and two days ahead, once, and rows go into them', async () => {
    const first = await keeper(NOW).run();
    expect(first.created.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([0, 1, 2].map((day) => [NOW - 12 * HOUR + day * DAY, NOW + 12 * HOUR + day * DAY]));
    expect((await keeper(NOW + 1).run()).created).toEqual([]);
    expect(await partitions('tx_end')).toHaveLength(4);
    await finished(NOW);
    expect(await count('ONLY tx_begin_default')).toBe(0);
    expect((await keeper(NOW + DAY).run()).created).toHaveLength(1);
  });

  it('fills gaps beside partitions of another length', async () => {
    await keeper(NOW, { partitionMs: HOUR }).run();
    const { created } = await keeper(NOW + 2 * HOUR).run();
    expect(created.slice(0, 2)).toEqual([{ fromMs: NOW - 12 * HOUR, toMs: NOW }, { fromMs: NOW + 3 * HOUR, toMs: NOW + 12 * HOUR }]);
    await finished(NOW + 4 * HOUR);
    expect(await count('tx_begin_default')).toBe(0);
  });

  it('gives partitions the storage parameters and indexes that the tables were made with', async () => {
    await keeper(NOW).run();
    const { rows } = await pool.query<{ options: string[] | null; indexes: number }>(`
      SELECT c.reloptions AS options, (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid)::int AS indexes
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'tx_end'::regclass`);
    expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(new Set([JSON.stringify({ options: ['toast_tuple_target=8160'], indexes: 5 })]));
  });

  it('drops what is old with its keys, and keeps what is young', async () => {
    await keeper(NOW).run();
    const old = await finished(NOW, 'old-key');
    const young = await finished(NOW + 20 * HOUR, 'young-key');
    const report = await keeper(NOW + 12 * HOUR + 7 * DAY).run();
    expect(report.dropped).toEqual([{ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR }]);
    expect(report).toMatchObject({ ran: true, kept: [], postponed: [], unfinished: [], deleted: { idempotency_key: 1 } });
    expect([...(await reader.read([old, young])).keys()]).toEqual([young]);
    expect(await reader.idempotency('old-key')).toBeNull();
    expect(await reader.idempotency('young-key')).not.toBeNull();
    const { rows } = await pool.query("SELECT relname FROM pg_class WHERE relname ~ '^tx_(begin|decision|end)_[0-9]{17}$' AND NOT relispartition");
    expect(rows).toEqual([]);
  });

  it('keeps an unfinished transaction with its partition for as long as it takes, and says so', async () => {
    await keeper(NOW).run();
    const [open, beside] = [txidAt(NOW), await finished(NOW + 1)];
    await store.flush(batch(epochs, { begins: [beginSaga(open)], progress: [progress(open, 'SENT', 'place', { inputs: {} })], decisions: [decide(open, 'ABORT')] }));
    const late = NOW + 30 * DAY;
    const report = await keeper(late).run();
    expect(report.kept).toEqual([{ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR, because: 'unfinished' }]);
    expect(report.unfinished).toEqual([open]);
    expect((await reader.read([open, beside])).size).toBe(2);
    expect(await store.loadUnfinished(0, null, 10)).toHaveLength(1);

    await store.flush(batch(epochs, { ends: [{ ...end(open, 'compensated'), atMs: late }] }));
    expect((await keeper(late).run()).kept).toMatchObject([{ because: 'changed-lately' }]);
    expect((await keeper(late + 8 * DAY).run()).dropped).toContainEqual({ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR });
    expect(await count('tx_begin')).toBe(0);
  });

  it('cleans the default partition row by row: what has ended, but nothing that is open', async () => {
    const wrong = NOW - 400 * DAY;
    const ended = await Promise.all(Array.from({ length: 25 }, (_, i) => finished(wrong + i, `wrong-${i}`)));
    const open = txidAt(wrong + 10);
    const ahead = await finished(NOW + 400 * DAY);
    await store.flush(batch(epochs, { begins: [begin(open, { idempotency: { key: 'open', requestHash: 'h' } })], decisions: [decide(open, 'COMMIT')] }));
    await store.presumeAbort([txidAt(wrong)], wrong);
    expect(await count('tx_begin_default')).toBe(27);
    const report = await keeper(NOW, { batchSize: 4 }).run();
    expect(report.deleted).toEqual({ tx_begin_default: 25, tx_decision_default: 1 });
    expect(report.unfinished).toEqual([open]);
    expect([...(await reader.read([...ended, open, ahead])).keys()].toSorted()).toEqual([open, ahead].toSorted());
    expect((await store.loadUnfinished(0, null, 10))[0]!.register).toMatchObject({ decision: 'COMMIT' });
    expect([await count('tx_decision'), await count('tx_end'), await count('idempotency_key')]).toEqual([2, 1, 1]);
  });

  it('leaves a day to the default partition that already has rows of it, and makes the others', async () => {
    const early = await finished(NOW);
    const report = await keeper(NOW).run();
    expect(report.leftToDefault).toEqual([{ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR }]);
    expect(report.created).toHaveLength(2);
    expect((await reader.read([early])).size).toBe(1);
    expect((await keeper(NOW + 8 * DAY).run()).deleted).toEqual({ tx_begin_default: 1 });
  });

  it('presumes nothing of transactions that may have been cleaned up', async () => {
    await keeper(NOW).run();
    const committed = await finished(NOW);
    const open = txidAt(NOW + 1);
    await store.flush(batch(epochs, { begins: [begin(open)] }));
    await keeper(NOW + 30 * DAY).run();
    const forgotten = txidAt(NOW + 2);
    const unknown = txidAt(NOW + 29 * DAY);
    const answers = await store.presumeAbort([committed, open, forgotten, unknown], NOW + 30 * DAY);
    expect(answers.get(committed)).toMatchObject({ decision: 'COMMIT' });
    expect(answers.get(open)).toMatchObject({ decision: 'ABORT' });
    expect(answers.get(unknown)).toMatchObject({ decision: 'ABORT' });
    expect(answers.has(forgotten)).toBe(false);
    expect(await count('tx_decision')).toBe(3);
  });

  it('is done by one of many processes at a time', async () => {
    const reports = await Promise.all(Array.from({ length: 5 }, () => keeper(NOW).run()));
    expect(reports.filter((report) => report.created.length > 0)).toHaveLength(1);
    expect(await partitions('tx_begin')).toHaveLength(4);
  });

  it('drops partitions in the middle of flushes, of which none fails or waits for long', async () => {
    await keeper(NOW, { partitionMs: HOUR }).run();
    for (let i = 0; i < 3; i++) await finished(NOW + i * HOUR);
    let stop = false;
    const slowest: number[] = [];
    const load = Array.from({ length: 3 }, async () => {
      let max = 0;
      for (let n = 0; !stop; n++) {
        const txids = Array.from({ length: 20 }, () => txidAt(NOW + 100 * HOUR + n));
        const before = performance.now();
        await store.flush(batch(epochs, { begins: txids.map((txid) => begin(txid)), decisions: txids.map((txid) => decide(txid, 'COMMIT')), ends: txids.map((txid) => end(txid, 'committed')) }));
        await store.presumeAbort(txids.slice(0, 2), NOW);
        max = Math.max(max, performance.now() - before);
      }
      slowest.push(max);
    });
    const dropped: number[] = [];
    await eventually('all three are dropped', async () => {
      dropped.push(...(await keeper(NOW + 100 * HOUR, { partitionMs: HOUR, keepMs: HOUR }).run()).dropped.map(({ fromMs }) => fromMs));
      if (dropped.length < 3) throw new Error(`${dropped.length} of 3`);
    }, 20_000).finally(() => { stop = true; });
    await Promise.all(load);
    expect(dropped.toSorted()).toEqual([0, 1, 2].map((i) => NOW + i * HOUR));
    expect(Math.max(...slowest)).toBeLessThan(5_000);
  });

  it('gives way to who uses the tables for long, and comes back', async () => {
    await keeper(NOW).run();
    await finished(NOW);
    const holder = await pool.connect();
    await holder.query('BEGIN; SELECT FROM tx_begin LIMIT 1');
    const report = await keeper(NOW + 8 * DAY).run();
    expect(report.postponed).toContainEqual({ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR });
    expect(report.dropped).toEqual([]);
    expect(await count('tx_begin')).toBe(1);
    await holder.query('COMMIT');
    holder.release();
    expect((await keeper(NOW + 8 * DAY).run()).dropped).toContainEqual({ fromMs: NOW - 12 * HOUR, toMs: NOW + 12 * HOUR });
  });

  it('drops what another one detached before it was killed', async () => {
    await keeper(NOW).run();
    const [, first] = await partitions('tx_end');
    await pool.query(`ALTER TABLE tx_end DETACH PARTITION ${first}`);
    await keeper(NOW).run();
    expect((await pool.query('SELECT to_regclass($1) AS there', [first])).rows).toEqual([{ there: null }]);
  });

  it('forgets old entries of the audit and instances that are gone', async () => {
    const audit = new AuditLog(pool);
    const registry = new ParticipantRegistry(pool);
    for (const comment of ['old', 'young']) await audit.append({ actor: 'operate', action: 'cancel', target: 't', comment, result: 'done' });
    for (const instance of ['old', 'young']) await registry.announce([{ kind: 'ANNOUNCE', participant: 'orders', instance, version: '1', operations: [], acceptor: true }]);
    await pool.query("UPDATE audit SET at = now() - interval '400 days' WHERE comment = 'old'");
    await pool.query("UPDATE participant_instance SET last_seen_at = now() - interval '2 days' WHERE instance = 'old'");
    expect((await keeper(Date.now()).run()).deleted).toEqual({ audit: 1, participant_instance: 1 });
    expect((await audit.list()).items.map((entry) => entry.comment)).toEqual(['young']);
    expect((await registry.list())[0]!.instances).toMatchObject([{ instance: 'young', acceptor: true }]);
  });

  it('runs by itself until it is stopped', async () => {
    const runs: boolean[] = [];
    const housekeeper = keeper(NOW, { onRun: ({ ran }) => { runs.push(ran); } });
    housekeeper.start(20);
    await eventually('it has run twice', async () => { if (runs.length < 2) throw new Error(`${runs.length} runs`); }, 10_000);
    await housekeeper.stop();
    const { length } = runs;
    await pool.query('SELECT pg_sleep(0.1)');
    expect(runs).toHaveLength(length);
  });

  it('has made nothing that a migration back leaves behind', async () => {
    await keeper(NOW).run();
    await finished(NOW);
    while (await revertLast(url, 'coordinator') !== null);
    expect((await pool.query("SELECT relname FROM pg_class WHERE relname LIKE 'tx\\_%'")).rows).toEqual([]);
  });

  it('refuses lengths that make no sense', () => {
    expect(() => keeper(NOW, { partitionMs: 0 })).toThrow(RangeError);
    expect(() => keeper(NOW, { keepMs: Number.NaN })).toThrow(RangeError);
  });
});
