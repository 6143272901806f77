import { shardOf } from '#libs/protocol';
import { begun, Bench, checkout } from '../testing/coordinator-bench.js';
import { refusing, silent, willing } from '../testing/fake-bus.js';
import { turns, until } from '../testing/fake-clock.js';

describe('the coordinator driver', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  it('flushes a single begin at once, without any clock time passing', async () => {
    const driver = await bench.owner([0]);
    const before = bench.clock.now();
    const txid = await begun(driver);
    expect(bench.store.begins.has(txid)).toBe(true);
    expect(bench.clock.now()).toBe(before);
  });

  it('commits when all vote yes, and answers as soon as the decision is durable', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    const view = await driver.settled(txid, 'decided', 5_000);
    expect(view).toMatchObject({ txid, status: 'committed', reason: null, finishedAtMs: null });
    expect(view!.branches.map((branch) => branch.state)).toEqual(['prepared', 'prepared', 'prepared']);
    expect(bench.store.register.get(txid)?.decision).toBe('COMMIT');
  });

  it('finishes when all have acknowledged, writes END, and remembers it only for a while', async () => {
    const driver = await bench.owner([0], { lingerMs: 1_000 });
    const txid = await begun(driver);
    await bench.clock.advance(30);
    expect(driver.view(txid)).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
    expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
    expect(driver.stats()).toMatchObject({ inFlight: 0, undecided: 0, lingering: 1, committed: 1, finished: 1 });
    await bench.clock.advance(2_500);
    expect(driver.view(txid)).toBeNull();
    expect(await driver.settled(txid, 'decided', 10)).toBeNull();
  });

  it('aborts when one votes no, and says who and why', async () => {
    bench.bus.participant('inventory', refusing);
    const driver = await bench.owner([0]);
    const view = await driver.settled(await begun(driver), 'decided', 5_000);
    expect(view).toMatchObject({ status: 'aborted', reason: { code: 'OUT_OF_STOCK', participant: 'inventory' } });
    expect(view!.branches[2]).toMatchObject({ state: 'refused', vote: 'no' });
  });

  it('aborts when a vote is missing at the deadline', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0]);
    const txid = await begun(driver, { timeoutMs: 2_000 });
    await bench.clock.advance(1_990);
    expect(driver.view(txid)!.status).toBe('pending');
    await bench.clock.advance(20);
    expect(driver.view(txid)).toMatchObject({ status: 'aborted', reason: { code: 'PREPARE_TIMEOUT', participant: 'payments' } });
  });

  it('takes 1,000 begins that arrive together in a handful of flushes on one shard', async () => {
    const driver = await bench.owner([0, 1, 2, 3]);
    const txids = await Promise.all(Array.from({ length: 1_000 }, () => begun(driver)));
    const views = await Promise.all(txids.map((txid) => driver.settled(txid, 'decided', 5_000)));
    expect(views.every((view) => view?.status === 'committed')).toBe(true);
    expect(new Set(txids.map(shardOf)).size).toBe(1);
    expect(bench.store.flushes.length).toBeLessThan(12);
    expect(bench.bus.sends).toBeLessThan(12);
  });

  it('holds a round back for a moment when many transactions are under way, so that more of them share it', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0], { gatherMs: 5 });
    await Promise.all(Array.from({ length: 100 }, () => begun(driver)));
    await turns();
    const flushes = bench.store.flushes.length;
    const early = begun(driver);
    await turns();
    expect(bench.store.flushes.length).toBe(flushes);
    await bench.clock.advance(4);
    const late = begun(driver);
    await bench.clock.advance(1);
    await Promise.all([early, late]);
    expect(bench.store.flushes.length).toBe(flushes + 1);
  });

  it('gathers what arrives during a flush into the next one', async () => {
    const driver = await bench.owner([0]);
    bench.store.hold();
    const first = begun(driver);
    await until(() => bench.store.held === 1);
    const others = Array.from({ length: 50 }, () => begun(driver));
    await turns();
    expect(bench.store.held).toBe(1);
    bench.store.release();
    await Promise.all([first, ...others]);
    expect(bench.store.flushes.filter((flush) => flush.begins.length > 0).map((flush) => flush.begins.length)).toEqual([1, 50]);
  });

  it('rotates new work over the owned shards', async () => {
    const driver = await bench.owner([0, 1]);
    for (let i = 0; i < 4; i++) await begun(driver);
    const perShard = [0, 1].map((shard) => bench.store.flushes.filter((flush) => flush.begins.length > 0 && flush.epochs.some((epoch) => epoch.shard === shard)).length);
    expect(perShard.every((count) => count >= 1)).toBe(true);
  });

  it('flushes different shards in parallel when it has several lanes', async () => {
    const driver = await bench.owner([0, 1], { lanes: 2 });
    bench.store.hold();
    const all = Array.from({ length: 10 }, () => begun(driver));
    await until(() => bench.store.held === 2);
    bench.store.release();
    expect(new Set(await Promise.all(all)).size).toBe(10);
  });

  it('sends no PREPARE before BEGIN is durable, and tells no outcome before it is', async () => {
    const driver = await bench.owner([0]);
    bench.store.hold();
    const begin = begun(driver);
    await until(() => bench.store.held === 1);
    await turns();
    expect(bench.bus.sent).toEqual([]);
    bench.store.release();
    const txid = await begin;
    bench.store.hold();
    await until(() => bench.store.held === 1);
    expect(bench.bus.sentOf('PREPARE')).toHaveLength(3);
    expect(bench.bus.sentOf('COMMIT')).toEqual([]);
    expect(driver.view(txid)!.status).toBe('pending');
    expect(bench.bus.undone(0)).toBeGreaterThan(0);
    bench.store.release();
    expect((await driver.settled(txid, 'decided', 5_000))!.status).toBe('committed');
  });

  it('shows the outcome of a one-phase transaction only when it is written down', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver, { branches: [{ participant: 'orders', operation: 'work', payload: null }] });
    bench.store.hold();
    await until(() => bench.store.held === 1);
    expect(driver.view(txid)!.status).toBe('pending');
    bench.store.release();
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'committed', finishedAtMs: null });
    expect(bench.store.register.get(txid)).toMatchObject({ decision: 'COMMIT' });
    await bench.clock.advance(100);
    expect(bench.store.ends.get(txid)).toMatchObject({ outcome: 'committed' });
  });

  it('lets END records and COMMITs wait for company, and lets them ride along with other work', async () => {
    const driver = await bench.owner([0], { lazyMs: 5 });
    const first = await begun(driver);
    await driver.settled(first, 'decided', 5_000);
    await turns();
    expect(bench.bus.sentOf('COMMIT')).toEqual([]);
    await begun(driver);
    await until(() => bench.bus.sentOf('PREPARE').length === 6);
    expect(bench.bus.sentOf('COMMIT').filter(({ message }) => 'txid' in message && message.txid === first)).toHaveLength(3);
    await bench.clock.advance(30);
    expect(bench.store.ends.size).toBe(2);
    expect(bench.store.flushes.filter((flush) => flush.ends.length > 0).length).toBeLessThanOrEqual(2);
  });

  it('waits for `finished` when asked to, and does not make that caller wait for company', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver, { waitFor: 'finished' });
    const finished = driver.settled(txid, 'finished', 5_000);
    await bench.clock.advance(6);
    expect(await finished).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
  });

  it('writes END at once for a client that waits for `finished`, whether or not it asks here', async () => {
    const driver = await bench.owner([0], { lazyMs: 1_000 });
    const txid = await begun(driver, { waitFor: 'finished' });
    await driver.settled(txid, 'decided', 60_000);
    await bench.clock.advance(1_000);
    expect(bench.store.ends.has(txid)).toBe(true);
  });

  it('gives the pending view to a caller whose patience ends', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    const waiting = driver.settled(txid, 'decided', 300);
    await bench.clock.advance(301);
    expect(await waiting).toMatchObject({ status: 'pending' });
  });

  it('repeats COMMIT until everyone has acknowledged', async () => {
    bench.bus.participant('payments', (message) => (message.kind === 'COMMIT' ? [] : willing(message)));
    const driver = await bench.owner([0], { resendAfterMs: 100 });
    const txid = await begun(driver);
    await bench.clock.advance(500);
    expect(bench.bus.sentOf('COMMIT').filter(({ to }) => to.role === 'participant' && to.name === 'payments').length).toBeGreaterThan(2);
    expect(bench.store.ends.has(txid)).toBe(false);
    bench.bus.participant('payments', willing);
    await bench.clock.advance(2_000);
    expect(bench.store.ends.has(txid)).toBe(true);
  });

  it('keeps a timeline of every record and message, and saves each event once', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    await bench.clock.advance(30);
    const names = driver.timeline(txid)!.map((event) => event.name);
    for (const [name, count] of Object.entries({ BEGIN: 1, PREPARE: 3, VOTE: 3, DECIDE: 1, COMMIT: 3, ACK: 3, END: 1 })) {
      expect(names.filter((other) => other === name)).toHaveLength(count);
    }
    expect(bench.store.timelines.get(txid)).toEqual(driver.timeline(txid));
    expect(driver.timeline(txid)!.find((event) => event.name === 'VOTE')).toMatchObject({ type: 'receive', from: 'orders', detail: 'yes' });
  });

  it('publishes each outcome', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    await bench.clock.advance(30);
    expect(bench.bus.outcomes).toEqual([expect.objectContaining({ txid, status: 'committed', reason: null })]);
  });

  it('lets every batch of the inbox become done', async () => {
    const driver = await bench.owner([0]);
    await begun(driver);
    await bench.clock.advance(50);
    expect(bench.bus.undone(0)).toBe(0);
  });

  it('hands announcements on', async () => {
    await bench.owner([0]);
    bench.bus.post(0, [{ kind: 'ANNOUNCE', participant: 'orders', instance: 'i', version: '1', operations: [], acceptor: false }]);
    await until(() => bench.announced.length === 1 && bench.bus.undone(0) === 0);
  });

  it('puts a message that no rule covers into the dead letters and goes on', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    bench.bus.post(0, [{ kind: 'VOTE', txid, branch: 7, vote: 'yes' }]);
    await until(() => bench.bus.deadLetters.length === 1);
    expect((await driver.settled(txid, 'decided', 5_000))!.status).toBe('committed');
    await bench.clock.advance(30);
    expect(bench.bus.undone(0)).toBe(0);
  });

  describe('operator actions', () => {
    it('cancel an undecided transaction', async () => {
      bench.bus.participant('payments', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      const view = await driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
      expect(view).toMatchObject({ status: 'aborted', reason: { code: 'CANCELLED' } });
      expect(bench.store.register.get(txid)?.decision).toBe('ABORT');
    });

    it('retry what is outstanding now', async () => {
      bench.bus.participant('payments', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      await until(() => driver.view(txid)!.branches.filter((branch) => branch.vote === 'yes').length === 2);
      expect(await driver.act(txid, { kind: 'RETRY_NOW' })).toMatchObject({ status: 'pending' });
      await until(() => bench.bus.sentOf('PREPARE').length === 4);
    });

    it('resolve a decided transaction whose participant is gone', async () => {
      bench.bus.participant('payments', (message) => (message.kind === 'COMMIT' ? [] : willing(message)));
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      await bench.clock.advance(50);
      expect(driver.view(txid)!.finishedAtMs).toBeNull();
      const resolved = driver.act(txid, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } });
      await bench.clock.advance(10);
      expect(await resolved).toMatchObject({ status: 'committed', finishedAtMs: expect.any(Number) });
    });

    it('answer null for a transaction that is not here', async () => {
      const driver = await bench.owner([0]);
      const other = await bench.owner([1]);
      expect(await other.act(await begun(driver), { kind: 'RETRY_NOW' })).toBeNull();
    });
  });

  describe('idempotency', () => {
    const idempotency = { key: 'k-1', requestHash: 'h-1' };

    it('begins once for one key, however many ask at a time', async () => {
      const driver = await bench.owner([0]);
      const results = await Promise.all(Array.from({ length: 5 }, () => driver.begin(checkout({ idempotency }))));
      const winners = results.filter((result) => result.kind === 'begun');
      expect(winners).toHaveLength(1);
      expect(results.filter((result) => result.kind === 'duplicate')).toEqual(Array(4).fill({ kind: 'duplicate', txid: winners[0]!.txid, requestHash: 'h-1' }));
      await bench.clock.advance(50);
      expect(bench.bus.sentOf('PREPARE')).toHaveLength(3);
      expect(driver.stats()).toMatchObject({ inFlight: 0, undecided: 0, begun: 1, duplicates: 4 });
    });

    it('begins once for one key that two coordinators get', async () => {
      const [a, b] = [await bench.owner([0]), await bench.owner([1])];
      const results = await Promise.all([a.begin(checkout({ idempotency })), b.begin(checkout({ idempotency }))]);
      expect(results.map((result) => result.kind).sort()).toEqual(['begun', 'duplicate']);
      expect(results[0]!.txid).toBe(results[1]!.txid);
    });

    it('is no duplicate of itself when the answer to the flush was lost', async () => {
      const driver = await bench.owner([0]);
      bench.store.loseNextAnswer();
      const begin = driver.begin(checkout({ idempotency }));
      await bench.clock.advance(20);
      expect(await begin).toMatchObject({ kind: 'begun' });
    });
  });

  describe('admission', () => {
    it('refuses beyond maxInFlight, with a time to come back', async () => {
      bench.bus.participant('orders', silent);
      const driver = await bench.owner([0], { maxInFlight: 10 });
      const results = await Promise.allSettled(Array.from({ length: 15 }, () => driver.begin(checkout())));
      const refused = results.filter((result) => result.status === 'rejected');
      expect(refused).toHaveLength(5);
      expect(refused[0]!.reason).toMatchObject({ name: 'UnavailableError', code: 'OVERLOADED', retryAfterMs: expect.any(Number) });
    });

    it('refuses without a shard', async () => {
      await expect(bench.driver().begin(checkout())).rejects.toMatchObject({ code: 'NO_SHARD' });
    });

    it('refuses while the broker is out of reach', async () => {
      const driver = await bench.owner([0]);
      bench.bus.isHealthy = false;
      await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'TRANSPORT_UNAVAILABLE' });
    });

    it('remembers no more finished transactions than lingerMax', async () => {
      const driver = await bench.owner([0], { lingerMax: 20, lingerMs: 60_000 });
      await Promise.all(Array.from({ length: 200 }, () => begun(driver)));
      await bench.clock.advance(100);
      expect(driver.stats()).toMatchObject({ inFlight: 0, lingering: 20, unsent: 0, queued: 0, finished: 200 });
    });
  });
});
