import type { Txid } from '#libs/protocol';
import { begun, Bench } from '../testing/coordinator-bench.js';
import { turns, until } from '../testing/fake-clock.js';
import type { CoordinatorDriver } from './driver.js';
import { storedView } from './view.js';

const SITES = ['orders', 'payments', 'inventory'];

describe('the coordinator driver with paxos commit', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const begin = (driver: CoordinatorDriver, changes = {}): Promise<Txid> => begun(driver, { protocol: 'paxos-commit', ...changes });
  const ballotOf = (txid: Txid): unknown => bench.store.stored(txid)!.progress.find(({ kind }) => kind === 'LEAD')?.data;

  it('commits when a majority of the acceptors says so, without a forced write', async () => {
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    const flushes = bench.store.flushes.length;
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'committed', decision: 'COMMIT', protocol: 'paxos-commit' });
    expect(bench.store.flushes.length).toBe(flushes);
    await bench.clock.advance(50);
    expect(bench.store.stored(txid)).toMatchObject({ begin: { acceptors: SITES }, register: { decision: 'COMMIT' }, progress: [], end: { outcome: 'committed' } });
    expect(bench.bus.outcomes).toMatchObject([{ txid, protocol: 'paxos-commit', status: 'committed' }]);
    expect(driver.timeline(txid)!.find(({ name }) => name === 'PHASE_2B')).toMatchObject({ from: 'acceptor/orders', detail: '(0, 0) prepared, prepared, prepared' });
    expect(bench.store.timelines.get(txid)).toEqual(driver.timeline(txid));
    expect(bench.bus.undone(0)).toBe(0);
    expect(bench.bus.deadLetters).toEqual([]);
  });

  it('aborts when one votes no', async () => {
    bench.bus.site('inventory').vote = 'no';
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'aborted', reason: { code: 'OUT_OF_STOCK', participant: 'inventory' } });
    await bench.clock.advance(50);
    expect(bench.store.stored(txid)).toMatchObject({ register: { decision: 'ABORT' }, end: { outcome: 'aborted' } });
    expect(bench.store.timelines.get(txid)).toEqual(driver.timeline(txid));
  });

  it('leads a ballot of its own when a vote is missing at the deadline, under an id that is its tenure\'s', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    await bench.store.acquireShards([0], 'somebody before');
    const driver = await bench.owner([0]);
    const txid = await begin(driver, { timeoutMs: 1_000 });
    await bench.clock.advance(1_030);
    expect(driver.view(txid)).toMatchObject({ status: 'aborted', reason: { code: 'PREPARE_TIMEOUT', participant: 'payments' } });
    expect(bench.bus.sentOf('PHASE_1A')[0]!.message).toMatchObject({ ballot: { n: 1, leader: 2 * 16_384 } });
    expect(driver.timeline(txid)!.find(({ name }) => name === 'LEAD')).toMatchObject({ type: 'record', detail: `ballot (1, ${2 * 16_384})` });
  });

  it('sends no 1a before LEAD is durable', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    bench.store.hold();
    const acted = driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    await until(() => bench.store.held === 1);
    await turns();
    expect(bench.bus.sentOf('PHASE_1A')).toEqual([]);
    bench.store.release();
    await acted;
    expect((await driver.settled(txid, 'decided', 5_000))).toMatchObject({ status: 'aborted', reason: { code: 'CANCELLED' } });
  });

  describe('while the store is away', () => {
    it.each([['committed', 'yes'], ['aborted', 'no']] as const)('decides, answers and tells everybody: %s', async (status, vote) => {
      bench.bus.site('inventory').vote = vote;
      bench.bus.site('inventory').deafTo.add('PREPARE');
      const driver = await bench.owner([0]);
      const txid = await begin(driver, { timeoutMs: 600_000 });
      await until(() => bench.bus.sentOf('PREPARE').length === 3);
      bench.store.down();
      // A transaction of another protocol keeps a flush in flight that does not come back.
      const stuck = driver.begin({ protocol: '2pc', branches: [{ participant: 'orders', operation: 'work', payload: null }], timeoutMs: 60_000, waitFor: 'decided', metadata: null, idempotency: null }).catch((error: unknown) => error);
      await bench.clock.advance(10_000);
      expect(await stuck).toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(driver.stats().storeStalled).toBe(true);
      expect(driver.view(txid)!.status).toBe('pending');
      bench.bus.site('inventory').deafTo.clear();
      const decided = driver.settled(txid, 'decided', 5_000);
      await driver.act(txid, { kind: 'RETRY_NOW' });
      expect(await decided).toMatchObject({ status });
      await bench.clock.advance(100);
      expect(bench.bus.sentOf(status === 'committed' ? 'COMMIT' : 'ABORT').length).toBeGreaterThanOrEqual(status === 'committed' ? 3 : 2);
      expect(bench.bus.outcomes).toMatchObject([{ txid, status }]);
      expect(bench.store.ends.has(txid)).toBe(false);
      bench.store.up();
      await bench.clock.advance(5_000);
      expect(bench.store.stored(txid)).toMatchObject({ register: { decision: status === 'committed' ? 'COMMIT' : 'ABORT' }, end: { outcome: status } });
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('decides many with one flush stuck in flight, and keeps no batch of the inbox longer than its own records need', async () => {
      const driver = await bench.owner([0]);
      for (const name of SITES) bench.bus.site(name).deafTo.add('PREPARE');
      const txids = await Promise.all(Array.from({ length: 50 }, () => begin(driver, { timeoutMs: 600_000 })));
      await until(() => bench.bus.sentOf('PREPARE').length === 150);
      bench.store.down();
      for (const name of SITES) bench.bus.site(name).deafTo.clear();
      for (const txid of txids) await driver.act(txid, { kind: 'RETRY_NOW' });
      await bench.clock.advance(20_000);
      expect(txids.map((txid) => driver.view(txid)!.status)).toEqual(txids.map(() => 'committed'));
      const undone = bench.bus.undone(0);
      for (const txid of txids) bench.bus.post(0, [{ protocol: 'paxos-commit', kind: 'INQUIRY', txid, branch: 0, participant: 'orders' }]);
      await bench.clock.advance(1_000);
      expect(bench.bus.undone(0)).toBe(undone);
      expect(driver.stats().queued).toBe(0);
      bench.store.up();
      await bench.clock.advance(5_000);
      expect(bench.store.ends.size).toBe(50);
    });
  });

  describe('recovery', () => {
    it('finds out from the acceptors what was decided, in a greater ballot, and does not abort it', async () => {
      for (const name of SITES) bench.bus.site(name).deafTo.add('COMMIT');
      const first = await bench.owner([0]);
      const txid = await begin(first);
      await first.settled(txid, 'decided', 5_000);
      for (const name of SITES) bench.bus.site(name).deafTo.clear();
      expect(bench.store.register.has(txid)).toBe(false);
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'committed');
      await bench.clock.advance(50);
      expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
    });

    it('takes what was noted for its word while it asks the acceptors again', async () => {
      for (const name of SITES) bench.bus.site(name).deafTo.add('COMMIT').add('PHASE_1A');
      const first = await bench.owner([0]);
      const txid = await begin(first);
      await bench.clock.advance(50);
      expect(bench.store.register.get(txid)?.decision).toBe('COMMIT');
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid) !== null);
      expect(successor.view(txid)).toMatchObject({ status: 'committed', finishedAtMs: null });
      for (const name of SITES) bench.bus.site(name).deafTo.clear();
      await bench.clock.advance(3_000);
      expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
    });

    it('leads a ballot greater than the last one that it has led', async () => {
      for (const name of SITES) bench.bus.site(name).deafTo.add('PREPARE').add('PHASE_1A');
      const first = await bench.owner([0]);
      const txid = await begin(first);
      await first.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
      expect(ballotOf(txid)).toEqual({ n: 1, leader: 16_384 });
      await bench.owner([0]);
      await bench.clock.advance(20);
      expect(ballotOf(txid)).toEqual({ n: 2, leader: 2 * 16_384 });
    });
  });

  it('a fenced owner ends nothing', async () => {
    for (const name of SITES) bench.bus.site(name).deafTo.add('PREPARE');
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    await bench.store.acquireShards([0], 'a stranger');
    await driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    expect(driver.view(txid)).toBeNull();
    expect(bench.bus.sentOf('PHASE_1A')).toEqual([]);
  });

  it('waits for END when the client waits for `finished`', async () => {
    const driver = await bench.owner([0], { lazyMs: 60_000 });
    const txid = await begin(driver, { waitFor: 'finished' });
    const finished = driver.settled(txid, 'finished', 600_000);
    await until(() => bench.bus.sentOf('PREPARE').length === 3);
    await bench.clock.advance(61_000);
    expect(await finished).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
  });

  describe('after END', () => {
    it('answers an inquiry from the tables', async () => {
      const driver = await bench.owner([0], { lingerMs: 10 });
      const txid = await begin(driver);
      await bench.clock.advance(100);
      expect(driver.view(txid)).toBeNull();
      bench.bus.sent.length = 0;
      bench.bus.post(0, [
        { protocol: 'paxos-commit', kind: 'INQUIRY', txid, branch: 1, participant: 'payments' },
        { protocol: 'paxos-commit', kind: 'PHASE_2B', txid, acceptor: 'inventory', ballot: { n: 0, leader: 0 }, values: ['prepared', 'prepared', 'prepared'] },
      ]);
      await bench.clock.advance(50);
      expect(bench.bus.sent).toMatchObject([{ to: { role: 'participant', name: 'payments' }, message: { protocol: 'paxos-commit', kind: 'COMMIT', branch: 1 } }]);
      expect(bench.store.lookUps).toBe(1);
      expect(storedView(bench.store.stored(txid)!)).toMatchObject({ status: 'committed', branches: SITES.map(() => ({ state: 'committed' })) });
    });

    it('presumes nothing about a transaction that has no END', async () => {
      const driver = await bench.owner([0]);
      await until(() => driver.shards()[0]!.recovered);
      const txid = (await begin(driver)).replace(/.{4}$/, 'ffff') as Txid;
      bench.bus.post(0, [{ protocol: 'paxos-commit', kind: 'INQUIRY', txid, branch: 0, participant: 'orders' }]);
      await bench.clock.advance(50);
      expect(bench.store.presumed).toBe(0);
      expect(bench.store.register.has(txid)).toBe(false);
      expect(bench.bus.undone(0)).toBe(0);
    });
  });
});
