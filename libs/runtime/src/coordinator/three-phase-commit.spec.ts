import type { ProtocolMessage, Txid } from '#libs/protocol';
import { begun, Bench } from '../testing/coordinator-bench.js';
import { turns, until } from '../testing/fake-clock.js';
import type { CoordinatorDriver } from './driver.js';

const PEERS = ['orders', 'payments', 'inventory'];

describe('the coordinator driver with three-phase commit', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const begin = (driver: CoordinatorDriver, changes = {}): Promise<Txid> => begun(driver, { protocol: '3pc', ...changes });
  const stateOf = (txid: Txid): unknown => (bench.store.stored(txid)!.progress[0]?.data as { site: { state: string } } | undefined)?.site.state;

  it('commits in three phases: votes, a majority that follows, the decision', async () => {
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'committed', decision: 'COMMIT', protocol: '3pc', reason: null });
    await bench.clock.advance(30);
    for (const kind of ['PREPARE', 'PRE_COMMIT', 'COMMIT'] as const) expect(bench.bus.sentOf(kind)).toHaveLength(3);
    expect(driver.view(txid)).toMatchObject({ finishedAtMs: expect.any(Number), branches: PEERS.map(() => ({ state: 'committed', result: 1 })) });
    expect(bench.store.stored(txid)).toMatchObject({ register: { decision: 'COMMIT' }, progress: [], end: { outcome: 'committed' } });
    expect(bench.bus.outcomes).toMatchObject([{ txid, protocol: '3pc', status: 'committed' }]);
    expect(bench.bus.undone(0)).toBe(0);
    expect(bench.bus.deadLetters).toEqual([]);
  });

  it('sends PREPAREs once BEGIN is durable, PRE_COMMITs once the attempt is, and tells the decision once that is', async () => {
    const driver = await bench.owner([0]);
    bench.store.hold();
    const beginning = begin(driver);
    await until(() => bench.store.held === 1);
    await turns();
    expect(bench.bus.sent).toEqual([]);
    bench.store.release();
    const txid = await beginning;
    bench.store.hold();
    await until(() => bench.store.held === 1);
    expect(bench.bus.sentOf('PRE_COMMIT')).toEqual([]);
    bench.store.release();
    await until(() => bench.bus.sentOf('PRE_COMMIT').length === 3);
    expect(stateOf(txid)).toBe('pre-committed');
    bench.store.hold();
    await until(() => bench.store.held === 1);
    await turns();
    expect(bench.bus.sentOf('COMMIT')).toEqual([]);
    expect(driver.view(txid)).toMatchObject({ status: 'pending', decision: null });
    bench.store.release();
    expect((await driver.settled(txid, 'decided', 5_000))!.status).toBe('committed');
    // The decision stands above the attempt, which is not written again.
    expect(bench.store.flushes.filter(({ decisions }) => decisions.length > 0)).toMatchObject([{ progress: [] }]);
    expect(driver.timeline(txid)!.filter(({ type }) => type === 'record').map(({ name, detail }) => [name, detail])).toEqual([['BEGIN', undefined], ['STATE', 'pre-committed (1, 3)'], ['STATE', 'committed']]);
  });

  it('aborts when one votes no', async () => {
    bench.bus.site('inventory').vote = 'no';
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'aborted', reason: { code: 'OUT_OF_STOCK', participant: 'inventory' } });
    await bench.clock.advance(30);
    expect(bench.store.stored(txid)).toMatchObject({ register: { decision: 'ABORT' }, end: { outcome: 'aborted', reason: { code: 'OUT_OF_STOCK' } } });
  });

  it('aborts at the deadline', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0]);
    const txid = await begin(driver, { timeoutMs: 1_000 });
    await bench.clock.advance(1_010);
    expect(driver.view(txid)).toMatchObject({ status: 'aborted', reason: { code: 'PREPARE_TIMEOUT' } });
  });

  it('stands for election, with a record of it, when the majority that it needs does not answer', async () => {
    for (const name of PEERS) bench.bus.site(name).deafTo.add('PRE_COMMIT');
    const driver = await bench.owner([0], { resolveAfterMs: 500, staggerMs: 0 });
    const txid = await begin(driver);
    await bench.clock.advance(510);
    expect(bench.store.stored(txid)!.progress[0]!.data).toMatchObject({ site: { lastElected: { n: 2, site: 3 } } });
    expect(driver.timeline(txid)!.find(({ name }) => name === 'STATE_REQUEST')).toMatchObject({ detail: '(2, 3)', to: 'orders', branch: 0 });
    expect(driver.timeline(txid)!.filter(({ name }) => name === 'STATE').map(({ detail }) => detail)).toContain('pre-committed (1, 3), promised (2, 3)');
    for (const name of PEERS) bench.bus.site(name).deafTo.clear();
    await bench.clock.advance(5_000);
    expect(driver.view(txid)!.status).toBe('committed');
  });

  it('cancels before the vote is complete', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    expect(await driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } })).toMatchObject({ status: 'aborted', reason: { code: 'CANCELLED' } });
  });

  it('runs a single branch as one phase: there is nobody to agree with', async () => {
    const driver = await bench.owner([0]);
    const txid = await begin(driver, { branches: [{ participant: 'orders', operation: 'work', payload: null }] });
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'committed', protocol: '2pc' });
  });

  describe('recovery', () => {
    it('aborts what has no attempt yet', async () => {
      bench.bus.site('payments').deafTo.add('PREPARE');
      const txid = await begin(await bench.owner([0]));
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'aborted');
      expect(successor.view(txid)!.reason).toMatchObject({ code: 'COORDINATOR_RECOVERED' });
      await bench.clock.advance(30);
      expect(bench.store.ends.get(txid)?.outcome).toBe('aborted');
    });

    it('shows nothing of its own abort before that is durable', async () => {
      bench.bus.site('payments').deafTo.add('PREPARE');
      const txid = await begin(await bench.owner([0]));
      const successor = bench.driver();
      bench.store.hold();
      await bench.bus.assign(successor, [0]);
      await until(() => bench.store.held === 1);
      expect(successor.view(txid)).toMatchObject({ status: 'pending', decision: null, reason: null, decidedAtMs: null });
      bench.store.release();
      await until(() => successor.view(txid)?.status === 'aborted');
    });

    it('stands for election after an attempt, and commits what may be committed', async () => {
      for (const name of PEERS) bench.bus.site(name).deafTo.add('PRE_ACK').add('STATE_REQUEST').add('COMMIT').add('PRE_COMMIT');
      const txid = await begin(await bench.owner([0]));
      await until(() => stateOf(txid) === 'pre-committed');
      for (const name of PEERS) bench.bus.site(name).deafTo.clear();
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'committed');
      expect(bench.bus.sentOf('STATE_REQUEST')).toHaveLength(3);
    });

    it('tells a decision that was made and not told, and publishes it', async () => {
      const first = await bench.owner([0]);
      const txid = await begin(first);
      await until(() => bench.store.register.has(txid));
      await first.assigned([]);
      expect(stateOf(txid)).toBe('pre-committed');
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid)?.status === 'committed');
      expect(successor.view(txid)).toMatchObject({ branches: PEERS.map(() => ({ vote: 'yes', result: 1 })) });
      expect(bench.bus.sentOf('STATE_REQUEST')).toEqual([]);
      await bench.clock.advance(30);
      expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
      expect(bench.bus.outcomes.map(({ status }) => status)).toContain('committed');
    });
  });

  it('a fenced owner decides nothing any more', async () => {
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    await bench.store.acquireShards([0], 'a stranger');
    expect(await driver.settled(txid, 'decided', 60_000)).toBeNull();
    expect(bench.store.register.size).toBe(0);
    expect(bench.bus.sentOf('COMMIT')).toEqual([]);
  });

  it('does not decide while the store is away', async () => {
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    bench.store.down();
    await bench.clock.advance(10_000);
    expect(driver.view(txid)!.status).toBe('pending');
    expect(bench.bus.sentOf('PRE_COMMIT')).toEqual([]);
    bench.store.up();
    await bench.clock.advance(3_000);
    expect(driver.view(txid)!.status).toBe('committed');
  });

  it('is never begun for a caller who was told that it was not', async () => {
    const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
    bench.store.down();
    const answer = begin(driver).catch((error: unknown) => error);
    await bench.clock.advance(600);
    expect(await answer).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    bench.store.up();
    await bench.clock.advance(1_500);
    expect(bench.bus.sentOf('PREPARE')).toEqual([]);
    expect([...bench.store.ends.values()].map(({ outcome }) => outcome)).toEqual(['aborted']);
  });

  describe('after END', () => {
    const about = (txid: Txid) => ({ protocol: '3pc', txid, from: 1, to: 3 }) as const;
    const ended = async (): Promise<{ driver: CoordinatorDriver; txid: Txid }> => {
      const driver = await bench.owner([0], { lingerMs: 10 });
      const txid = await begin(driver);
      await bench.clock.advance(100);
      expect(driver.view(txid)).toBeNull();
      bench.bus.sent.length = 0;
      return { driver, txid };
    };

    it('answers a resolver from the tables, and keeps nothing', async () => {
      const { driver, txid } = await ended();
      bench.bus.post(0, [{ ...about(txid), kind: 'STATE_REQUEST', election: { n: 2, site: 1 }, peers: PEERS }]);
      await bench.clock.advance(20);
      expect(bench.bus.sent).toMatchObject([{ to: { role: 'participant', name: 'payments' }, message: { kind: 'STATE_REPLY', state: 'committed' } }]);
      expect(driver.view(txid)).toBeNull();
      expect(bench.store.presumed).toBe(0);
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('lets late acknowledgements go without a look', async () => {
      const { txid } = await ended();
      bench.bus.post(0, [{ ...about(txid), kind: 'ACK' }, { ...about(txid), kind: 'VOTE', vote: 'yes' }]);
      await until(() => bench.bus.undone(0) === 0);
      expect(bench.store.lookUps).toBe(0);
    });

    it('finds a site that has decided otherwise', async () => {
      const { txid } = await ended();
      bench.bus.post(0, [{ ...about(txid), kind: 'ABORT', reason: { code: 'X' } }]);
      await until(() => bench.bus.deadLetters.length === 1);
    });

    it('says nothing about a transaction that never was', async () => {
      const { txid } = await ended();
      const other = `${txid.slice(0, -4)}ffff` as Txid;
      bench.bus.post(0, [{ ...about(other), kind: 'STATE_REQUEST', election: { n: 2, site: 1 }, peers: PEERS }]);
      await bench.clock.advance(20);
      expect(bench.bus.sent).toEqual([]);
      expect(bench.store.register.has(other)).toBe(false);
      expect(bench.bus.undone(0)).toBe(0);
    });
  });

  it('puts a message of another protocol into the dead letters', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0]);
    const txid = await begin(driver);
    const strangers: ProtocolMessage[] = [{ kind: 'VOTE', txid, branch: 1, vote: 'no' }, { protocol: 'saga', kind: 'COMPENSATED', txid, branch: 1, step: 's' }];
    bench.bus.post(0, strangers);
    await until(() => bench.bus.deadLetters.length === 2);
    expect(driver.view(txid)!.status).toBe('pending');
  });
});
