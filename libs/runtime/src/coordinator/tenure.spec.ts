import { begun, Bench, checkout } from '../testing/coordinator-bench.js';
import { turns, until } from '../testing/fake-clock.js';

/**
 * A frozen owner wakes up and is given a shard back that somebody else has owned meanwhile. Before, it went on taking work under the
 * tenure that was over: the flush wrote nothing, but the begin was answered and its PREPAREs left.
 */
describe('a shard that comes back after somebody else has owned it', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const branches = checkout().branches;

  it.each([branches, branches.slice(0, 1)])('takes no work before it is acquired again', async (...wanted) => {
    const driver = await bench.owner([0]);
    await until(() => driver.shards()[0]!.recovered);
    await bench.store.acquireShards([0], 'somebody else');
    const acquire = bench.store.acquireShards.bind(bench.store);
    let open!: () => void;
    const gate = new Promise<void>((resolve) => { open = resolve; });
    bench.store.acquireShards = async (shards, owner) => { await gate; return acquire(shards, owner); };

    const assigned = driver.assigned([0]);
    await turns();
    await expect(driver.begin(checkout({ branches: wanted.flat() }))).rejects.toMatchObject({ code: 'NO_SHARD' });
    expect({ begins: bench.store.begins.size, sent: bench.bus.sent.length, inFlight: driver.stats().inFlight, errors: bench.journal.errors }).toEqual({ begins: 0, sent: 0, inFlight: 0, errors: [] });

    open();
    await assigned;
    const txid = await begun(driver);
    expect((await driver.settled(txid, 'decided', 5_000))!.status).toBe('committed');
  });

  it('takes no work while the store refuses to give it', async () => {
    const driver = await bench.owner([0]);
    await until(() => driver.shards()[0]!.recovered);
    await bench.store.acquireShards([0], 'somebody else');
    bench.store.acquireShards = () => Promise.reject(new Error('down'));
    await expect(driver.assigned([0])).rejects.toThrow('down');
    await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'NO_SHARD' });
    expect({ begins: bench.store.begins.size, sent: bench.bus.sent.length, inFlight: driver.stats().inFlight }).toEqual({ begins: 0, sent: 0, inFlight: 0 });
  });
});

/** Two members that both believe a shard to be theirs: each takes it back from the other, loads all of it, and loses it again. */
describe('a shard that is fenced again and again', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  it('is left alone for longer each time', async () => {
    const driver = await bench.owner([0], { fencedRetryMs: 1_000 });
    const takenAt: number[] = [];
    const acquire = bench.store.acquireShards.bind(bench.store);
    bench.store.acquireShards = async (shards, owner) => {
      if (owner === 'c1') takenAt.push(bench.clock.elapsed());
      return acquire(shards, owner);
    };
    for (let i = 0; i < 4; i++) {
      await until(() => driver.shards().length === 1);
      await acquire([0], 'rival');
      const fenced = bench.clock.elapsed();
      driver.begin(checkout()).catch(() => undefined);
      await until(() => driver.shards().length === 0);
      await bench.clock.advance(8_000);
      expect(takenAt.at(-1)! - fenced).toBe([1_000, 2_000, 4_000, 8_000][i]);
    }
  });

  it('is taken at once when the group assigns it', async () => {
    const driver = await bench.owner([0], { fencedRetryMs: 60_000 });
    await bench.store.acquireShards([0], 'rival');
    driver.begin(checkout()).catch(() => undefined);
    await until(() => bench.journal.fencedShards.length === 1);
    await driver.assigned([0]);
    expect(driver.shards()).toMatchObject([{ shard: 0, epoch: 3 }]);
  });

  it('that was let go of after a defect is left to whoever has taken it meanwhile', async () => {
    const driver = await bench.owner([0], { fencedRetryMs: 20_000 });
    const flush = bench.store.flush.bind(bench.store);
    bench.store.flush = async (batch) => ({ ...(await flush(batch)), register: new Map() });
    await begun(driver);
    await until(() => bench.journal.fencedShards.length === 1);
    bench.store.flush = flush;
    await bench.store.acquireShards([0], 'the next owner');
    await bench.clock.advance(5_000);
    expect(driver.shards()).toEqual([]);
    await bench.clock.advance(20_000);
    expect(driver.shards()).toMatchObject([{ shard: 0, epoch: 3 }]);
  });
});
