import { begun, Bench, checkout } from '../testing/coordinator-bench.js';
import { refusing, silent, willing } from '../testing/fake-bus.js';
import { until } from '../testing/fake-clock.js';

describe('the coordinator driver under faults', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  describe('recovery', () => {
    it('aborts what was begun and not decided', async () => {
      bench.bus.participant('payments', silent);
      const txid = await begun(await bench.owner([0]));
      bench.bus.participant('payments', willing);
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'aborted');
      expect(successor.view(txid)!.reason).toMatchObject({ code: 'COORDINATOR_RECOVERED' });
      await bench.clock.advance(20);
      expect(bench.bus.sentOf('ABORT')).toHaveLength(3);
      expect(bench.store.ends.get(txid)?.outcome).toBe('aborted');
    });

    it('carries out a decision that was made and not sent', async () => {
      const first = await bench.owner([0]);
      const txid = await begun(first);
      await until(() => bench.store.register.has(txid));
      await first.assigned([]);
      const successor = await bench.owner([0]);
      expect(bench.bus.sentOf('COMMIT')).toEqual([]);
      await bench.clock.advance(50);
      expect(successor.view(txid)).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
      expect(bench.bus.sentOf('COMMIT').length).toBeGreaterThanOrEqual(3);
      expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
    });

    it('publishes an outcome that the earlier owner may not have told', async () => {
      bench.bus.participant('payments', silent);
      const txid = await begun(await bench.owner([0]));
      bench.store.register.set(txid, { decision: 'COMMIT', reason: null, branches: [], atMs: bench.clock.now() });
      await bench.owner([0]);
      await bench.clock.advance(50);
      expect(bench.bus.outcomes).toMatchObject([{ txid, status: 'committed' }]);
    });

    it('finds a begin whose flush succeeded in a process that died before it sent anything', async () => {
      const first = await bench.owner([0]);
      bench.store.loseNextAnswer();
      first.begin(checkout()).catch(() => {});
      await until(() => bench.store.begins.size === 1);
      expect(bench.bus.sent).toEqual([]);
      const successor = await bench.owner([0]);
      const [txid] = bench.store.begins.keys();
      await until(() => successor.view(txid!)?.status === 'aborted');
    });

    it('asks a one-phase participant for an abort and obeys its answer', async () => {
      bench.bus.participant('orders', silent);
      const txid = await begun(await bench.owner([0]), { branches: [{ participant: 'orders', operation: 'work', payload: null }] });
      await until(() => bench.bus.sentOf('PREPARE_AND_COMMIT').length === 1);
      bench.bus.participant('orders', (message) => [{ kind: 'ONE_PHASE_OUTCOME', txid: message.txid, branch: 0, outcome: 'committed' }]);
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'committed');
      expect(bench.bus.sentOf('ABORT_ONE_PHASE')).toHaveLength(1);
    });

    it('loads more than a page, and takes new work meanwhile', async () => {
      bench.bus.participant('payments', silent);
      const first = await bench.owner([0]);
      await Promise.all(Array.from({ length: 1_200 }, () => begun(first)));
      bench.bus.participant('payments', willing);
      const successor = await bench.owner([0]);
      expect(successor.shards()).toMatchObject([{ shard: 0, epoch: 2, recovered: false }]);
      const fresh = await begun(successor);
      expect((await successor.settled(fresh, 'decided', 5_000))!.status).toBe('committed');
      await bench.clock.advance(200);
      expect(successor.shards()).toMatchObject([{ shard: 0, recovered: true, inFlight: 0 }]);
      expect(successor.stats()).toMatchObject({ recovered: 1_200, aborted: 1_200, committed: 1 });
      expect(bench.store.ends.size).toBe(1_201);
    });

    it('keeps messages of transactions that are not loaded yet, and answers them from what was loaded', async () => {
      bench.bus.participant('payments', silent);
      const txid = await begun(await bench.owner([0]));
      await until(() => bench.bus.sentOf('PREPARE').length === 3);
      bench.store.holdLoads();
      await bench.owner([0]);
      bench.bus.post(0, [{ kind: 'INQUIRY', txid, branch: 1, participant: 'payments' }]);
      await bench.clock.advance(100);
      expect(bench.bus.sentOf('ABORT')).toEqual([]);
      expect(bench.store.register.size).toBe(0);
      bench.store.releaseLoads();
      await bench.clock.advance(100);
      expect(bench.store.register.get(txid)!.reason!.code).toBe('COORDINATOR_RECOVERED');
      expect(bench.store.presumed).toBe(0);
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('does not take a transaction for unfinished that ended while its page was under way', async () => {
      const driver = await bench.owner([0], { lingerMs: 50 });
      await until(() => driver.shards()[0]!.recovered);
      const successor = bench.driver({ lingerMs: 50 });
      bench.store.holdLoads();
      await bench.bus.assign(successor, [0]);
      const txid = await begun(successor, { branches: [{ participant: 'orders', operation: 'work', payload: null }] });
      await successor.settled(txid, 'finished', 1_000);
      await bench.clock.advance(500);
      expect(successor.view(txid)).not.toBeNull();
      bench.store.releaseLoads();
      await bench.clock.advance(500);
      expect(successor.view(txid)).toBeNull();
      expect(successor.stats().recovered).toBe(0);
    });

    it('goes on after a fault of the store', async () => {
      bench.bus.participant('payments', silent);
      const txid = await begun(await bench.owner([0]));
      const successor = await bench.owner([0]);
      bench.store.down();
      await bench.clock.advance(200);
      bench.store.up();
      await bench.clock.advance(2_000);
      expect(successor.shards()[0]!.recovered).toBe(true);
      expect(bench.store.ends.has(txid)).toBe(true);
    });
  });

  describe('ownership', () => {
    it('a fenced owner stops, and its successor finishes', async () => {
      bench.bus.participant('payments', silent);
      const first = await bench.owner([0]);
      const txid = await begun(first);
      const waiting = first.settled(txid, 'decided', 60_000);
      const successor = await bench.owner([0]);
      const late = first.begin(checkout()).catch((error: unknown) => error);
      expect(await late).toMatchObject({ code: 'NO_SHARD' });
      expect(await waiting).toBeNull();
      expect(first.view(txid)).toBeNull();
      expect(first.shards()).toEqual([]);
      expect(bench.journal.fencedShards).toEqual([0]);
      await until(() => successor.view(txid)?.status === 'aborted');
      expect(bench.store.begins.size).toBe(1);
    });

    it('a fenced owner that still has the partition takes it back, with what was delivered to it', async () => {
      const driver = await bench.owner([0], { fencedRetryMs: 1_000, lingerMs: 60_000 });
      const txid = await begun(driver);
      await bench.store.acquireShards([0], 'a stranger');
      await until(() => bench.journal.fencedShards.length === 1);
      expect(bench.bus.undone(0)).toBeGreaterThan(0);
      await bench.clock.advance(1_100);
      expect(driver.shards()).toMatchObject([{ shard: 0, epoch: 3 }]);
      expect(driver.view(txid)!.status).toBe('aborted');
      await bench.clock.advance(100);
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('after a defect the memory is thrown away, and what is durable is loaded anew', async () => {
      const driver = await bench.owner([0], { fencedRetryMs: 1_000, lingerMs: 60_000 });
      const flush = bench.store.flush.bind(bench.store);
      bench.store.flush = async (batch) => ({ ...(await flush(batch)), register: new Map() });
      const txid = await begun(driver);
      expect(await driver.settled(txid, 'decided', 60_000)).toBeNull();
      expect(bench.journal.errors.map(({ context }) => context)).toContain('lane 0');
      bench.store.flush = flush;
      await bench.clock.advance(1_200);
      expect(driver.view(txid)).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('lost shards: callers are told to look elsewhere, and nothing more is sent for them', async () => {
      bench.bus.participant('payments', silent);
      const driver = await bench.owner([0, 1]);
      const txids = [await begun(driver), await begun(driver)];
      await until(() => bench.bus.sentOf('PREPARE').length === 6);
      const waiting = txids.map((txid) => driver.settled(txid, 'decided', 60_000));
      await driver.assigned([]);
      expect(await Promise.all(waiting)).toEqual([null, null]);
      await bench.clock.advance(30_000);
      expect(bench.bus.sent).toHaveLength(6);
      await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'NO_SHARD' });
    });

    it('a shard lost during the flush of a begin: no PREPARE leaves, and the next owner aborts it', async () => {
      const driver = await bench.owner([0]);
      bench.store.hold();
      const begin = driver.begin(checkout()).catch((error: unknown) => error);
      await until(() => bench.store.held === 1);
      await driver.assigned([]);
      bench.store.release();
      expect(await begin).toMatchObject({ code: 'NO_SHARD' });
      await until(() => bench.store.begins.size === 1);
      const successor = await bench.owner([0]);
      await bench.clock.advance(50);
      expect(bench.bus.sentOf('PREPARE')).toEqual([]);
      expect([...bench.store.ends.values()].map((end) => end.outcome)).toEqual(['aborted']);
      expect(successor.stats().recovered).toBe(1);
    });

    it('a shard given back that somebody else has owned meanwhile is loaded anew', async () => {
      bench.bus.participant('payments', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      await bench.store.acquireShards([0], 'a stranger');
      await driver.assigned([0]);
      expect(driver.shards()).toMatchObject([{ shard: 0, epoch: 3 }]);
      await until(() => driver.view(txid)?.status === 'aborted');
      expect(bench.journal.fencedShards).toEqual([]);
    });

    it('a shard that stays is left in peace', async () => {
      bench.bus.participant('payments', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      await driver.assigned([0, 1]);
      expect(driver.shards()).toMatchObject([{ shard: 0, epoch: 1 }, { shard: 1, epoch: 1 }]);
      expect(driver.view(txid)!.status).toBe('pending');
    });

    it('a shard taken away while it was being acquired is not kept', async () => {
      const driver = bench.driver();
      const acquired = driver.assigned([0, 1]);
      for (let i = 0; i < 10; i++) await Promise.resolve();
      await driver.assigned([1]);
      await acquired;
      expect(driver.shards().map((shard) => shard.shard)).toEqual([1]);
    });

    it('an assignment that the store refuses is refused, and may be repeated', async () => {
      const driver = bench.driver();
      bench.store.down();
      await expect(driver.assigned([0])).rejects.toThrow('the store is down');
      bench.store.up();
      await driver.assigned([0]);
      expect((await driver.begin(checkout())).kind).toBe('begun');
    });
  });

  it('keeps every transaction\'s decision the same through a takeover under load', async () => {
    const seen = new Map<string, string>();
    bench.bus.participant('inventory', (message) => (message.kind === 'PREPARE' && message.branch === 2 && Number.parseInt(message.txid.slice(-1), 16) < 4 ? refusing(message) : willing(message)));
    const first = await bench.owner([0, 1]);
    const begins = Array.from({ length: 300 }, async () => {
      const txid = await begun(first);
      const view = await first.settled(txid, 'decided', 60_000);
      if (view !== null && view.status !== 'pending') seen.set(txid, view.status);
    });
    const all = Promise.allSettled(begins);
    await until(() => bench.store.begins.size > 0);
    await bench.owner([0, 1]);
    await bench.clock.advance(90_000);
    await all;
    expect(bench.store.begins.size).toBeGreaterThan(0);
    for (const txid of bench.store.begins.keys()) {
      const end = bench.store.ends.get(txid);
      expect(end).toBeDefined();
      expect(end!.outcome).toBe(bench.store.register.get(txid)!.decision === 'COMMIT' ? 'committed' : 'aborted');
      if (seen.has(txid)) expect(seen.get(txid)).toBe(end!.outcome);
    }
  });
});
