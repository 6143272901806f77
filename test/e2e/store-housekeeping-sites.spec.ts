import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { createPool, Housekeeper, type HousekeeperOptions, TypeOrmBranchStore } from '#libs/postgres';
import { makeTxid, type Txid } from '#libs/protocol';
import type { AnyBranchRow, SiteRows } from '#libs/runtime';
import { DataSource } from 'typeorm';
import { eventually } from '../support/eventually.js';
import { ACCEPTORS, freshDatabase, type Pool, site } from '../support/store.js';

jest.setTimeout(60_000);

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = 12 * HOUR;
/** Noon, eight days ago: what is written now has been changed lately by then, what is dated back has not. */
const THEN = Math.floor(Date.now() / DAY) * DAY + NOON - 8 * DAY;

describe('a participant\'s housekeeper', () => {
  let pool: Pool;
  let source: DataSource;
  let store: TypeOrmBranchStore;

  beforeEach(async () => {
    const url = await freshDatabase('participant');
    pool = createPool(url, { max: 4, applicationName: 'housekeeping-spec' });
    source = await new DataSource({ type: 'postgres', url, extra: { max: 4, pipeline: true } }).initialize();
    store = new TypeOrmBranchStore(source);
  });

  afterEach(async () => {
    await pool?.end();
    await source?.destroy();
  });

  const keeper = (now: number, more: Partial<HousekeeperOptions> = {}): Housekeeper => new Housekeeper(pool, { role: 'participant', now: () => now, ...more });
  const txidAt = (atMs: number): Txid => makeTxid(0, atMs, randomBytes(8));
  const branch = (txid: Txid, state: 'prepared' | 'committed', updatedAtMs: number): AnyBranchRow => ({
    protocol: 'paxos-commit', txid, branch: 0, state, operation: 'debit', payload: null, peers: ['orders'], acceptors: ACCEPTORS, reason: null, result: null, updatedAtMs,
  });
  const save = (rows: Partial<SiteRows>): Promise<void> => store.transact((tx) => tx.save(site(rows)));

  async function transaction(atMs: number, state: 'prepared' | 'committed' = 'committed'): Promise<Txid> {
    const txid = txidAt(atMs);
    await save({
      branches: [branch(txid, state, atMs)], acceptors: [{ txid, peers: ['orders'], promised: { n: 0, leader: 0 }, accepted: [null] }],
      leaders: [{ group: { txid, peers: ['orders'], acceptors: ACCEPTORS }, ballot: { n: 1, leader: 1 } }],
    });
    for (const table of ['concordat_acceptor', 'concordat_leader']) await pool.query(`UPDATE ${table} SET updated_at = to_timestamp($2::float8 / 1000) WHERE txid = $1`, [txid, atMs]);
    return txid;
  }

  async function left(): Promise<readonly (readonly string[])[]> {
    return Promise.all(['concordat_branch', 'concordat_acceptor', 'concordat_leader'].map(async (table) => (await pool.query<{ txid: string }>(`SELECT txid FROM ${table} ORDER BY txid`)).rows.map((r) => r.txid)));
  }

  it('drops old rows of all three tables together, and keeps young ones', async () => {
    await keeper(THEN).run();
    await transaction(THEN);
    const young = await transaction(THEN + DAY);
    const report = await keeper(THEN + NOON + 7 * DAY).run();
    expect(report).toMatchObject({ dropped: [{ fromMs: THEN - NOON, toMs: THEN + NOON }], kept: [], postponed: [], unfinished: [] });
    expect(await left()).toEqual([[young], [young], [young]]);
  });

  it('keeps everything of a day in which a branch does not know its decision, and says so', async () => {
    await keeper(THEN).run();
    const [prepared, committed] = [await transaction(THEN, 'prepared'), await transaction(THEN + 1)];
    const report = await keeper(THEN + NOON + 7 * DAY).run();
    expect(report.kept).toEqual([{ fromMs: THEN - NOON, toMs: THEN + NOON, because: 'unfinished' }]);
    expect(report.unfinished).toEqual([prepared]);
    const both = [prepared, committed].toSorted();
    expect(await left()).toEqual([both, both, both]);
  });

  it('keeps a branch that has learnt its decision only lately, for a COMMIT that comes again', async () => {
    await keeper(THEN).run();
    const txid = await transaction(THEN, 'prepared');
    await store.transact(async (tx) => {
      await tx.load({ branches: [{ txid, branch: 0 }], acceptors: [], leaders: [] });
      await tx.save(site({ branches: [branch(txid, 'committed', THEN + 8 * DAY)] }));
    });
    expect((await keeper(THEN + 9 * DAY).run()).kept).toMatchObject([{ because: 'changed-lately' }]);
    expect((await keeper(THEN + 16 * DAY).run()).dropped).toContainEqual({ fromMs: THEN - NOON, toMs: THEN + NOON });
    expect(await left()).toEqual([[], [], []]);
  });

  it('cleans the default partitions, but for what is undecided and its neighbours on the site', async () => {
    const wrong = THEN - 500 * DAY;
    for (let i = 0; i < 10; i++) await transaction(wrong + i);
    const prepared = await transaction(wrong + 3, 'prepared');
    const ahead = await transaction(THEN + 900 * DAY);
    const report = await keeper(THEN, { batchSize: 3 }).run();
    expect(report.deleted).toEqual({ concordat_branch_default: 10, concordat_acceptor_default: 10, concordat_leader_default: 10 });
    expect(await left()).toEqual([[prepared, ahead], [prepared, ahead], [prepared, ahead]]);
  });

  it('drops partitions in the middle of batches, of which none fails', async () => {
    await keeper(THEN, { partitionMs: HOUR }).run();
    for (let i = 0; i < 3; i++) await transaction(THEN + i * HOUR);
    let stop = false;
    const load = [1, 2].map(async () => {
      let steps = 0;
      for (; !stop; steps++) {
        const txids = Array.from({ length: 10 }, () => txidAt(THEN + 100 * HOUR));
        const keys = { branches: txids.map((txid) => ({ txid, branch: 0 })), acceptors: txids, leaders: txids };
        await save({ branches: txids.map((txid) => branch(txid, 'prepared', THEN)) });
        await store.transact(async (tx) => {
          const { branches } = await tx.load(keys);
          expect(branches).toHaveLength(10);
          await tx.save(site({ branches: txids.map((txid) => branch(txid, 'committed', THEN)) }));
        });
      }
      return steps;
    });
    const dropped: number[] = [];
    await eventually('all three are dropped', async () => {
      dropped.push(...(await keeper(THEN + 100 * HOUR, { partitionMs: HOUR, keepMs: HOUR }).run()).dropped.map(({ fromMs }) => fromMs));
      if (dropped.length < 3) throw new Error(`${dropped.length} of 3`);
    }, 20_000).finally(() => { stop = true; });
    for (const steps of await Promise.all(load)) expect(steps).toBeGreaterThan(0);
    expect(dropped.toSorted()).toEqual([0, 1, 2].map((i) => THEN + i * HOUR));
  });

  it('loads and saves rows of many partitions, in key order', async () => {
    await keeper(THEN, { partitionMs: HOUR }).run();
    const txids = [0, 1, 2, 50].map((hour) => txidAt(THEN + hour * HOUR));
    await save({ branches: txids.map((txid) => branch(txid, 'prepared', THEN)) });
    const keys = { branches: txids.toReversed().map((txid) => ({ txid, branch: 0 })), acceptors: [], leaders: [] };
    await store.transact(async (tx) => {
      expect((await tx.load(keys)).branches.map((row) => row.txid)).toEqual(txids);
      await tx.save(site({ branches: txids.map((txid) => branch(txid, 'committed', THEN)) }));
    });
    expect(await store.loadUndecided(null, 10)).toEqual([]);
  });

  it('takes a partition\'s unique violation for the race that it is', async () => {
    await keeper(THEN).run();
    const txid = txidAt(THEN);
    const race = store.transact(async (tx) => {
      await tx.load({ branches: [{ txid, branch: 0 }], acceptors: [], leaders: [] });
      await save({ branches: [branch(txid, 'prepared', THEN)] });
      await tx.save(site({ branches: [branch(txid, 'prepared', THEN)] }));
    });
    await expect(race).rejects.toMatchObject({ code: 'BRANCH_RACE' });
  });
});
