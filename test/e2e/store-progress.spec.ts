import { jest } from '@jest/globals';
import { createPool, PgCoordinatorStore } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import type { ShardEpoch } from '#libs/runtime';
import { ACCEPTORS, batch, begin, beginSaga, countRoundTrips, decide, end, freshDatabase, newTxid, type Pool, progress, YES } from '../support/store.js';

jest.setTimeout(60_000);

describe('what the coordinator store keeps of protocols beside two-phase commit', () => {
  let url: string;
  let pool: Pool;
  let store: PgCoordinatorStore;
  /** A second process, as far as Postgres can tell. */
  let other: PgCoordinatorStore;
  let otherPool: Pool;

  beforeAll(async () => {
    url = await freshDatabase('coordinator');
    pool = createPool(url, { max: 4, applicationName: 'progress-spec' });
    otherPool = createPool(url, { max: 4, applicationName: 'progress-spec-other' });
    store = new PgCoordinatorStore(pool);
    other = new PgCoordinatorStore(otherPool);
  });

  afterAll(async () => { await Promise.all([pool?.end(), otherPool?.end()]); });

  let nextShard = 0;
  async function ownShard(): Promise<{ shard: number; epochs: readonly ShardEpoch[] }> {
    const shard = nextShard++;
    return { shard, epochs: await store.acquireShards([shard], 'me') };
  }

  async function rowsOf(txid: Txid): Promise<unknown[]> {
    return (await pool.query('SELECT txid, kind, key, data FROM tx_progress WHERE txid = $1 ORDER BY kind, key', [txid])).rows;
  }

  it('gives every kind of transaction back as it was begun, with its progress', async () => {
    const { shard, epochs } = await ownShard();
    const [three, paxos, saga] = [newTxid(shard), newTxid(shard), newTxid(shard)];
    const begins = [begin(three, { protocol: '3pc' }), begin(paxos, { protocol: 'paxos-commit' }), beginSaga(saga, { metadata: { a: 1 }, idempotency: { key: 'saga', requestHash: 'h' } })];
    const rows = [
      progress(three, 'STATE', '', { state: 'pre-committed', branches: [{ vote: 'yes' }] }), progress(paxos, 'LEAD', '', { n: 1, leader: 16_384 }),
      progress(saga, 'SENT', 'de"bit', { inputs: { place: { note: '"{\\}"' } } }), progress(saga, 'SENT', 'place', null),
    ];
    await store.flush(batch(epochs, { begins, progress: rows }));
    expect(begins[1]!.acceptors).toEqual(ACCEPTORS);
    expect(await store.loadUnfinished(shard, null, 10)).toEqual(begins.map((row) => ({ begin: row, register: null, progress: rows.filter((p) => p.txid === row.spec.txid) })));
  });

  it('replaces a progress row by a later one with the same key, in one flush as in two', async () => {
    const { shard, epochs } = await ownShard();
    const txid = newTxid(shard);
    await store.flush(batch(epochs, { begins: [begin(txid, { protocol: '3pc' })], progress: [progress(txid, 'STATE', '', 1), progress(txid, 'STATE', '', 2)] }));
    expect(await rowsOf(txid)).toMatchObject([{ data: 2 }]);
    await store.flush(batch(epochs, { progress: [progress(txid, 'STATE', '', 3)] }));
    expect(await rowsOf(txid)).toMatchObject([{ data: 3 }]);
  });

  it('fences progress: an owner that was replaced writes none of it', async () => {
    const { shard, epochs } = await ownShard();
    const txid = newTxid(shard);
    await store.flush(batch(epochs, { begins: [beginSaga(txid)], progress: [progress(txid, 'SENT', 'place', 'mine')] }));
    const [theirs] = await other.acquireShards([shard], 'you');
    const { fenced } = await store.flush(batch(epochs, { progress: [progress(txid, 'SENT', 'place', 'late'), progress(txid, 'ATTENTION', '', 'late')], ends: [end(txid, 'completed')] }));
    expect(fenced).toEqual([shard]);
    expect(await rowsOf(txid)).toMatchObject([{ data: 'mine' }]);
    await other.flush(batch([theirs!], { progress: [progress(txid, 'SENT', 'place', 'theirs')] }));
    expect(await rowsOf(txid)).toMatchObject([{ data: 'theirs' }]);
  });

  it('forgets progress with END, also when the flush is sent again', async () => {
    const { shard, epochs } = await ownShard();
    const txid = newTxid(shard);
    const all = batch(epochs, { begins: [beginSaga(txid)], progress: [progress(txid, 'SENT', 'place', null)], decisions: [decide(txid, 'COMMIT')], ends: [end(txid, 'completed')] });
    const first = await store.flush(all);
    expect(await rowsOf(txid)).toEqual([]);
    expect(await store.flush(all)).toEqual(first);
    expect(await rowsOf(txid)).toEqual([]);
    expect(await store.loadUnfinished(shard, null, 10)).toEqual([]);
  });

  it('writes no progress of a transaction whose idempotency key belongs to another', async () => {
    const { shard, epochs } = await ownShard();
    const [first, second] = [newTxid(shard), newTxid(shard)];
    const idempotency = { key: 'progress-key', requestHash: 'h' };
    await store.flush(batch(epochs, { begins: [beginSaga(first, { idempotency })] }));
    const { duplicates } = await store.flush(batch(epochs, { begins: [beginSaga(second, { idempotency })], progress: [progress(second, 'SENT', 'place', null)] }));
    expect(duplicates.has(second)).toBe(true);
    expect(await rowsOf(second)).toEqual([]);
  });

  it('still takes one round trip with progress, and sends no statement that has no rows', async () => {
    const { shard, epochs } = await ownShard();
    const txid = newTxid(shard);
    const single = createPool(url, { max: 1, applicationName: 'progress-spec' });
    const client = await single.connect();
    const roundTrips = countRoundTrips(client);
    const names: string[] = [];
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((statement: string | { name: string }, ...rest: unknown[]) => {
      if (typeof statement !== 'string') names.push(statement.name);
      return query(statement, ...rest);
    }) as typeof client.query;
    client.release();
    const alone = new PgCoordinatorStore(single);
    await alone.flush(batch(epochs, { begins: [beginSaga(txid)], progress: [progress(txid, 'SENT', 'place', null)] }));
    expect(roundTrips()).toBe(1);
    expect(names.splice(0)).toEqual(['flush-shards-begins', 'flush-shards-progress']);
    const [another, last] = [newTxid(shard), newTxid(shard)];
    await alone.flush(batch(epochs, { begins: [beginSaga(another), beginSaga(last)], progress: [progress(txid, 'SENT', 'debit', null)], ends: [end(txid, 'completed')] }));
    expect(names.splice(0)).toEqual(['flush-shards-begins-ends']);
    expect(await rowsOf(txid)).toEqual([]);
    await alone.flush(batch(epochs, { begins: [beginSaga(newTxid(shard))], progress: [progress(another, 'SENT', 'place', 1)], ends: [end(last, 'completed')] }));
    expect(names.splice(0)).toEqual(['flush-shards-begins-progress-ends']);
    expect(await rowsOf(another)).toMatchObject([{ data: 1 }]);
    await alone.flush(batch(epochs, { decisions: [decide(txid, 'COMMIT')] }));
    expect(names).toEqual(['flush-shards-decisions']);
    await single.end();
  });

  it('looks up what is open, what has ended and what was never there', async () => {
    const { shard, epochs } = await ownShard();
    const [open, ended, unknown] = [newTxid(shard), newTxid(shard), newTxid(shard)];
    const begins = [begin(open, { protocol: 'paxos-commit' }), begin(ended, { protocol: '3pc' })];
    const lead = progress(open, 'LEAD', '', { n: 2, leader: 16_384 });
    await store.flush(batch(epochs, { begins, progress: [lead, progress(ended, 'STATE', '', {})], decisions: [decide(ended, 'COMMIT')] }));
    const last = { ...end(ended, 'committed'), resolved: { code: 'RESOLVED', detail: 'by hand' } };
    await store.flush(batch(epochs, { ends: [last] }));
    const { timeline, ...endOf } = last;
    expect(timeline).toHaveLength(1);
    const register = { decision: 'COMMIT', reason: null, branches: [YES, YES], atMs: 1_700_000_001_000 };
    expect(await other.lookUp([open, ended, unknown])).toEqual(new Map<Txid, unknown>([
      [open, { begin: begins[0], register: null, progress: [lead], end: null }], [ended, { begin: begins[1], register, progress: [], end: endOf }],
    ]));
    expect(await other.lookUp([])).toEqual(new Map());
  });

  it('presumes no abort of a transaction of another protocol, decided or not, and still does of one that was never begun', async () => {
    const { shard, epochs } = await ownShard();
    const [three, paxos, saga, decided, unknown] = Array.from({ length: 5 }, () => newTxid(shard)) as [Txid, Txid, Txid, Txid, Txid];
    await store.flush(batch(epochs, {
      begins: [begin(three, { protocol: '3pc' }), begin(paxos, { protocol: 'paxos-commit' }), beginSaga(saga), begin(decided, { protocol: 'paxos-commit' })], decisions: [decide(decided, 'COMMIT')],
    }));
    const answers = await other.presumeAbort([three, paxos, saga, decided, unknown], 1_700_000_009_000);
    expect([...answers.keys()]).toEqual([unknown]);
    expect(answers.get(unknown)).toMatchObject({ decision: 'ABORT', reason: { code: 'NO_RECORD' } });
    expect([...(await store.lookUp([three, paxos, saga])).values()].map((found) => found.register)).toEqual([null, null, null]);
  });

  it('takes an acceptor list with paxos-commit only, and a saga\'s settings with a saga only', async () => {
    const { shard, epochs } = await ownShard();
    await expect(store.flush(batch(epochs, { begins: [begin(newTxid(shard), { protocol: 'paxos-commit', acceptors: [] })] }))).rejects.toMatchObject({ code: '23514' });
    await expect(store.flush(batch(epochs, { begins: [begin(newTxid(shard), { acceptors: ACCEPTORS })] }))).rejects.toMatchObject({ code: '23514' });
  });
});
