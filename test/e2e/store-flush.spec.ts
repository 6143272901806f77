import { jest } from '@jest/globals';
import { createPool, isTransientDatabaseError, PgCoordinatorStore, shardList, TransactionReader } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import type { BeginRow, ShardEpoch } from '#libs/runtime';
import { batch, begin, countRoundTrips, decide, end, freshDatabase, newTxid, type Pool, waitingForLock, YES } from '../support/store.js';

jest.setTimeout(60_000);

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
      await new PgCoordinatorStore(single).flush(batch(epochs, { begins: [begin(newTxid(shard), { idempotency: { key: newTxid(shard), requestHash: 'h' } })], ends: [end(txids[1]!, 'committed')] }));
      expect(roundTrips()).toBe(2);
      await single.end();
    });

    it.each([['records of the same transactions', 0], ['records of different transactions', 1]])('reads no more when the tables have grown, though its plans are made while they are empty: %s', async (_, apart) => {
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
      const flushed: Txid[][] = [];
      const before = (rounds: number): readonly Txid[] => flushed.at(-1 - rounds * apart) ?? [];
      for (let i = 0; i < 12; i++) {
        const txids = Array.from({ length: 50 }, () => newTxid(0));
        flushed.push(txids);
        const start = await readSoFar();
        await youngStore.flush(batch(epochs, {
          begins: txids.map((txid) => begin(txid, { idempotency: { key: txid, requestHash: 'h' } })), decisions: before(1).map((txid) => decide(txid, 'COMMIT')), ends: before(2).map((txid) => end(txid, 'committed')),
        }));
        reads.push(await readSoFar() - start);
      }
      await young.end();
      expect(reads[3]).toBeGreaterThan(0);
      expect(reads.at(-1)).toBeLessThan(reads[3]! * 1.5);
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
      expect(await store.loadUnfinished(shard, null, 10)).toEqual([{ begin: row, register: null, progress: [] }]);
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
