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
