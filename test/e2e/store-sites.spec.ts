import { jest } from '@jest/globals';
import { TypeOrmBranchStore } from '#libs/postgres';
import type { AcceptorRow, Txid } from '#libs/protocol';
import type { AnyBranchRow, BranchTransaction, LeaderRow, SiteKeys, SiteRows } from '#libs/runtime';
import { DataSource, type EntityManager } from 'typeorm';
import { ACCEPTORS, countRoundTrips, freshDatabase, newTxid, site, waitingForLock } from '../support/store.js';

jest.setTimeout(60_000);

describe('a site of a transaction', () => {
  let source: DataSource;
  let store: TypeOrmBranchStore;
  /** A second process, as far as Postgres can tell. */
  let other: TypeOrmBranchStore;
  const sources: DataSource[] = [];

  beforeAll(async () => {
    const url = await freshDatabase('participant');
    const connect = async (max: number): Promise<DataSource> => {
      const made = await new DataSource({ type: 'postgres', url, extra: { max, pipeline: true } }).initialize();
      sources.push(made);
      return made;
    };
    source = await connect(4);
    store = new TypeOrmBranchStore(source);
    other = new TypeOrmBranchStore(await connect(4));
  });

  afterAll(async () => { for (const each of sources) await each.destroy(); });

  const PEERS = ['orders', 'pay"ments\\'];
  const common = (txid: Txid, branch: number) => ({ txid, branch, operation: 'debit', payload: { a: [1, null] }, result: null, updatedAtMs: 1_700_000_000_123 });
  const twoPhase = (txid: Txid, branch = 0): AnyBranchRow => ({ protocol: '2pc', ...common(txid, branch), state: 'prepared', onePhase: true, peers: PEERS, reason: null });
  const threePhase = (txid: Txid, branch = 1): AnyBranchRow => ({
    protocol: '3pc', ...common(txid, branch), state: 'pre-committed', peers: PEERS, readOnly: false, lastElected: { n: 3, site: 1 }, lastAttempt: { n: 2, site: 0 }, reason: null,
  });
  const paxos = (txid: Txid, branch = 2): AnyBranchRow => ({ protocol: 'paxos-commit', ...common(txid, branch), state: 'aborted', peers: PEERS, acceptors: ACCEPTORS, reason: { code: 'OUT_OF_STOCK' } });
  const saga = (txid: Txid, branch = 3): AnyBranchRow => ({ protocol: 'saga', ...common(txid, branch), state: 'executed', step: 'de"bit', stepKind: 'pivot', reason: null, result: { at: 1 } });
  const acceptor = (txid: Txid, n = 0): AcceptorRow => ({
    txid, peers: PEERS, promised: { n, leader: 16_384 * 70_000_000 }, accepted: [{ ballot: { n: 0, leader: 0 }, value: { kind: 'prepared' } as never }, null],
  });
  const leader = (txid: Txid, n = 1, by = 2): LeaderRow => ({ group: { txid, peers: PEERS, acceptors: ACCEPTORS }, ballot: { n, leader: by } });
  const keysOf = (txids: readonly Txid[]) => ({ branches: txids.flatMap((txid) => [0, 1, 2, 3].map((branch) => ({ txid, branch }))), acceptors: txids, leaders: txids });
  const stored = (...txids: Txid[]): Promise<SiteRows> => store.transact((tx) => tx.load(keysOf(txids)));
  const save = (rows: Partial<SiteRows>): Promise<void> => store.transact((tx) => tx.save(site(rows)));

  it('keeps rows of every protocol, its acceptor and its leader, to the last quote', async () => {
    const txid = newTxid(0);
    const rows = { branches: [twoPhase(txid), threePhase(txid), paxos(txid), saga(txid)], acceptors: [acceptor(txid, 7)], leaders: [leader(txid)] };
    await save(rows);
    expect(await stored(txid)).toEqual(rows);
  });

  it('updates what is particular to a protocol', async () => {
    const txid = newTxid(0);
    await save({ branches: [threePhase(txid), saga(txid)], acceptors: [acceptor(txid)], leaders: [leader(txid, 1, 2)] });
    const changed: SiteRows = {
      branches: [{ ...threePhase(txid), state: 'committed', lastElected: { n: 9, site: 2 } } as AnyBranchRow, { ...saga(txid), state: 'compensated' } as AnyBranchRow],
      acceptors: [{ ...acceptor(txid, 4), accepted: [null, { ballot: { n: 4, leader: 1 }, value: { kind: 'aborted' } as never }] }], leaders: [leader(txid, 1, 3)],
    };
    await store.transact(async (tx) => {
      await tx.load(keysOf([txid]));
      await tx.save(changed);
    });
    expect(await stored(txid)).toEqual(changed);
  });

  it('follows an attempt over the elections that were seen last, and over no others', async () => {
    const [known, promised] = [newTxid(0), newTxid(0)];
    const follow = (rows: readonly AnyBranchRow[]): Promise<void> => store.transact(async (tx) => {
      await tx.load(site({ branches: rows }) as never, { present: rows, absent: [] });
      await tx.save(site({ branches: rows.map((row) => ({ ...row, lastElected: { n: 4, site: 1 }, lastAttempt: { n: 4, site: 1 } }) as AnyBranchRow) }));
    });
    const elsewhere = { ...threePhase(promised), lastElected: { n: 9, site: 2 } } as AnyBranchRow;
    await save({ branches: [threePhase(known), elsewhere] });
    await expect(follow([threePhase(known), threePhase(promised)])).rejects.toMatchObject({ code: 'BRANCH_RACE' });
    expect(await stored(known, promised)).toMatchObject({ branches: [threePhase(known), elsewhere] });
    await follow([threePhase(known), elsewhere]);
    expect(await stored(known, promised)).toMatchObject({ branches: [{ lastAttempt: { n: 4, site: 1 }, payload: { a: [1, null] } }, { lastElected: { n: 4, site: 1 } }] });
  });

  it('asks only for what has keys, and for all of it in one round trip', async () => {
    const txid = newTxid(0);
    await save({ branches: [twoPhase(txid)], acceptors: [acceptor(txid)], leaders: [leader(txid)] });
    const sent = async (work: (tx: BranchTransaction<EntityManager>) => Promise<unknown>) => {
      const names: string[] = [];
      let trips = (): number => 0;
      await store.transact(async (tx) => {
        const client = await tx.handle.queryRunner!.connect();
        const query = client.query.bind(client);
        client.query = (statement: string | { name: string }, ...rest: unknown[]) => {
          if (typeof statement !== 'string') names.push(statement.name);
          return query(statement, ...rest);
        };
        trips = countRoundTrips(client);
        await work(tx).finally(() => { client.query = query; });
      });
      return { names, trips: trips() };
    };
    const branches = [{ txid, branch: 0 }];
    expect(await sent((tx) => tx.load({ branches, acceptors: [], leaders: [] }))).toMatchObject({ names: ['load-branches'], trips: 2 });
    expect(await sent((tx) => tx.load({ branches: [], acceptors: [txid], leaders: [] }))).toMatchObject({ names: ['load-acceptors'], trips: 2 });
    // Load in one, everything else with COMMIT.
    expect(await sent(async (tx) => {
      await tx.load(keysOf([txid]));
      await tx.save(site({ branches: [twoPhase(txid)], acceptors: [acceptor(txid, 1)], leaders: [leader(txid, 2)] }));
    })).toEqual({ names: ['load-branches', 'load-acceptors', 'load-leaders', 'update-branches', 'update-acceptors', 'update-leaders'], trips: 2 });
    expect(await sent(() => Promise.resolve())).toMatchObject({ names: [], trips: 1 });
  });

  it.each([
    ['branch', (txid: Txid) => ({ branches: [saga(txid)] })],
    ['acceptor', (txid: Txid) => ({ acceptors: [acceptor(txid, 1)] })],
    ['leader', (txid: Txid) => ({ leaders: [leader(txid)] })],
  ] as const)('fails transiently when another process inserts the %s row between load and save', async (_, rows) => {
    const txid = newTxid(0);
    const error = await store.transact(async (tx) => {
      expect(await tx.load(keysOf([txid]))).toEqual(site({}));
      await other.transact((faster) => faster.save(site(rows(txid))));
      await tx.save(site(rows(txid)));
    }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'BRANCH_RACE' });
    expect(store.isTransient(error)).toBe(true);
    expect(await stored(txid)).toEqual(site(rows(txid)));
  });

  it.each([['acceptor', 'acceptors'], ['leader', 'leaders']] as const)('lets one process at a time step the %s row, and shows the second what the first has written', async (_, table) => {
    const txid = newTxid(0);
    await save({ acceptors: [acceptor(txid, 1)], leaders: [leader(txid, 1)] });
    const keys: SiteKeys = { branches: [], acceptors: [], leaders: [], [table]: [txid] };
    let second: Promise<SiteRows> | undefined;
    await store.transact(async (tx) => {
      await tx.load(keys);
      second = other.transact((slower) => slower.load(keys));
      await waitingForLock({ query: async (sql: string, values: unknown[]) => ({ rows: await source.query(sql, values) }) }, null);
      await tx.save(site({ acceptors: table === 'acceptors' ? [acceptor(txid, 5)] : [], leaders: table === 'leaders' ? [leader(txid, 5)] : [] }));
    });
    expect(await second).toEqual(site(table === 'acceptors' ? { acceptors: [acceptor(txid, 5)] } : { leaders: [leader(txid, 5)] }));
  });

  it('never stores a leader over the same or a greater ballot', async () => {
    const txid = newTxid(0);
    await save({ leaders: [leader(txid, 3, 2)] });
    const over = (ballot: LeaderRow): Promise<unknown> => store.transact(async (tx) => {
      await tx.load(keysOf([txid]));
      await tx.save(site({ leaders: [ballot], branches: [saga(txid)] }));
    }).catch((e: unknown) => e);
    for (const stale of [leader(txid, 3, 2), leader(txid, 3, 1), leader(txid, 2, 9)]) {
      const error = await over(stale);
      expect(error).toMatchObject({ code: 'BRANCH_RACE' });
      expect(store.isTransient(error)).toBe(true);
    }
    expect(await stored(txid)).toEqual(site({ leaders: [leader(txid, 3, 2)] }));
    expect(await over(leader(txid, 3, 3))).toBeUndefined();
    expect(await stored(txid)).toEqual(site({ leaders: [leader(txid, 3, 3)], branches: [saga(txid)] }));
  });

  it('does not take a handler\'s own fault for a race', async () => {
    await expect(store.transact((tx) => tx.handle.query('SELECT 1 / 0'))).rejects.toMatchObject({ code: '22012' });
  });

  it('comes through many batches of two processes over the same rows without a deadlock', async () => {
    const txids = Array.from({ length: 20 }, () => newTxid(0));
    const step = (by: TypeOrmBranchStore, order: readonly Txid[]): Promise<void> => by.transact(async (tx) => {
      const { acceptors } = await tx.load(keysOf(order));
      const n = (txid: Txid): number => (acceptors.find((row) => row.txid === txid)?.promised.n ?? 0) + 1;
      await tx.save({ branches: order.map((txid) => threePhase(txid)), acceptors: order.map((txid) => acceptor(txid, n(txid))), leaders: order.map((txid) => leader(txid, n(txid))) });
    });
    let races = 0;
    const run = async (by: TypeOrmBranchStore, order: readonly Txid[]): Promise<void> => {
      for (let done = 0; done < 20;) {
        await step(by, order).then(() => { done++; }, (error: { code?: string }) => {
          if (error.code !== 'BRANCH_RACE') throw error;
          races++;
        });
      }
    };
    await Promise.all([run(store, txids), run(other, txids.toReversed())]);
    const rows = await stored(...txids);
    expect(rows.acceptors.map((row) => row.promised.n)).toEqual(txids.map(() => 40));
    expect(rows.leaders.map((row) => row.ballot.n)).toEqual(txids.map(() => 40));
    expect(races).toBeLessThanOrEqual(1);
  });

  it('gives the undecided of all protocols in key order, without payloads', async () => {
    await source.query('DELETE FROM concordat_branch');
    const [a, b] = [newTxid(0), newTxid(0)];
    const undecided = [twoPhase(a, 0), threePhase(a, 1), { ...paxos(b, 0), state: 'prepared', reason: null } as AnyBranchRow, { ...threePhase(b, 5), state: 'pre-aborted' } as AnyBranchRow];
    await save({ branches: [...undecided.toReversed(), saga(a, 7), paxos(b, 1), { ...twoPhase(b, 2), state: 'read-only' } as AnyBranchRow] });
    const first = await store.loadUndecided(null, 3);
    expect(first).toEqual(undecided.slice(0, 3).map((row) => ({ ...row, payload: null })));
    expect(await store.loadUndecided(first.at(-1)!, 3)).toEqual([{ ...undecided[3], payload: null }]);
  });

  it('finds the undecided by their index', async () => {
    const plan: readonly { 'QUERY PLAN': string }[] = await source.transaction(async (manager) => {
      await manager.query('SET LOCAL enable_seqscan = off');
      return manager.query("EXPLAIN SELECT txid FROM concordat_branch WHERE state IN ('prepared', 'pre-committed', 'pre-aborted') ORDER BY txid, branch LIMIT 10");
    });
    expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toMatch(/concordat_branch_default_txid_branch_idx/);
  });
});
