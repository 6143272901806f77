import { jest } from '@jest/globals';
import type { Txid } from '#libs/protocol';
import { begun, Bench, checkout } from '../testing/coordinator-bench.js';
import { silent, willing } from '../testing/fake-bus.js';
import { turns, until } from '../testing/fake-clock.js';

describe('inputs while a flush is in flight', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const vote = (txid: Txid, branch: number) => ({ kind: 'VOTE', txid, branch, vote: 'yes' }) as const;

  it('are stepped, and their records gather for the next flush', async () => {
    bench.bus.participant('inventory', silent);
    const driver = await bench.owner([0]);
    const txids = await Promise.all(Array.from({ length: 20 }, () => begun(driver)));
    await until(() => txids.every((txid) => driver.view(txid)!.branches[1]!.vote === 'yes'));
    bench.store.hold();
    const blocking = begun(driver);
    await until(() => bench.store.held === 1);
    for (const txid of txids) bench.bus.post(0, [vote(txid, 2)]);
    await until(() => txids.every((txid) => driver.view(txid)!.branches[2]!.vote === 'yes'));
    expect(driver.view(txids[0]!)!.status).toBe('pending');
    bench.store.release();
    await blocking;
    await Promise.all(txids.map((txid) => driver.settled(txid, 'decided', 5_000)));
    expect(bench.store.flushes.filter(({ decisions }) => decisions.length > 0).map(({ decisions }) => decisions.length)).toEqual([20]);
  });

  it('that need no record are answered at once', async () => {
    const driver = await bench.owner([0], { resendAfterMs: 60_000 });
    bench.bus.participant('payments', (message) => (message.kind === 'COMMIT' ? [] : willing(message)));
    const txid = await begun(driver);
    await driver.settled(txid, 'decided', 5_000);
    await bench.clock.advance(100);
    bench.store.hold();
    const blocking = begun(driver);
    await until(() => bench.store.held === 1);
    const before = bench.bus.sentOf('COMMIT').length;
    bench.bus.post(0, [{ kind: 'INQUIRY', txid, branch: 1, participant: 'payments' }]);
    await bench.clock.advance(100);
    expect(bench.bus.sentOf('COMMIT').length).toBe(before + 1);
    expect(bench.store.held).toBe(1);
    bench.store.release();
    await blocking;
  });

  it('do not let a message overtake an earlier record of its own transaction, and do not get stuck behind it', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0], { resolveAfterMs: 60_000 });
    const txid = await begun(driver, { protocol: '3pc' });
    await until(() => bench.bus.sentOf('PREPARE').length === 3);
    bench.store.hold();
    const cancelled = driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    await until(() => bench.store.held === 1);
    // It has aborted, but that is not durable: nobody may hear of it yet. The answer needs no record of its own.
    const peers = ['orders', 'payments', 'inventory'];
    bench.bus.post(0, [{ protocol: '3pc', kind: 'STATE_REQUEST', txid, from: 0, to: 3, election: { n: 2, site: 0 }, peers }]);
    await turns(30);
    expect(bench.bus.sentOf('STATE_REPLY')).toEqual([]);
    bench.store.release();
    await cancelled;
    await until(() => bench.bus.sentOf('STATE_REPLY').length === 1);
    expect(bench.bus.sentOf('STATE_REPLY')[0]!.message).toMatchObject({ state: 'aborted' });
  });

  it('leave the flushes after a long one of a size that the store can take, in order', async () => {
    bench.bus.participant('inventory', silent);
    const driver = await bench.owner([0], { maxBatch: 10 });
    const txids: Txid[] = [];
    for (let i = 0; i < 5; i++) txids.push(...await Promise.all(Array.from({ length: 10 }, () => begun(driver))));
    await until(() => txids.every((txid) => driver.view(txid)!.branches[1]!.vote === 'yes'));
    bench.store.hold();
    const blocking = begun(driver);
    await until(() => bench.store.held === 1);
    bench.store.flushes.length = 0;
    for (const txid of txids) bench.bus.post(0, [vote(txid, 2)]);
    await until(() => txids.every((txid) => driver.view(txid)!.branches[2]!.vote === 'yes'));
    bench.store.release();
    await blocking;
    await Promise.all(txids.map((txid) => driver.settled(txid, 'decided', 5_000)));
    expect(Math.max(...bench.store.flushes.map(({ decisions }) => decisions.length))).toBeLessThanOrEqual(10);
  });
});

describe('memory while the store is away', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  it('keeps no repetition of an answer that has to wait', async () => {
    bench.bus.site('payments').deafTo.add('PREPARE');
    const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
    const txid = await begun(driver, { protocol: '3pc', timeoutMs: 600_000 });
    await until(() => bench.bus.sentOf('PREPARE').length === 3);
    bench.store.down();
    void driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    await bench.clock.advance(1_000);
    const peers = ['orders', 'payments', 'inventory'];
    for (let n = 2; n < 200; n++) bench.bus.post(0, [{ protocol: '3pc', kind: 'STATE_REQUEST', txid, from: 0, to: 3, election: { n, site: 0 }, peers }]);
    await turns(50);
    expect(bench.bus.undone(0)).toBeLessThan(3);
    bench.store.up();
    await bench.clock.advance(2_000);
    expect(bench.bus.sentOf('STATE_REPLY').length).toBeLessThan(3);
    expect(driver.view(txid)!.status).toBe('aborted');
  });

  it('holds no more inquiries about transactions elsewhere than it can answer, and lets the rest come again', async () => {
    await bench.owner([0], { maxBatch: 10 });
    await turns();
    bench.store.down();
    const inquire = (i: number) => bench.bus.post(0, [{ kind: 'INQUIRY', txid: `018bcfe5-6800-8000-8000-${String(i).padStart(12, '0')}` as Txid, branch: 0, participant: 'orders' }]);
    for (let i = 0; i < 500; i++) inquire(i);
    await bench.clock.advance(100);
    expect(bench.bus.undone(0)).toBeLessThanOrEqual(60);
    bench.store.up();
    await bench.clock.advance(3_000);
    expect(bench.bus.undone(0)).toBe(0);
    expect(bench.bus.sentOf('ABORT').length).toBeLessThanOrEqual(60);
    inquire(499);
    await bench.clock.advance(100);
    expect(bench.store.register.has('018bcfe5-6800-8000-8000-000000000499' as Txid)).toBe(true);
  });

  it('does not keep an operator waiting, whatever he does and whenever', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
    const txids = [await begun(driver), await begun(driver)];
    bench.store.down();
    const first = driver.act(txids[0]!, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    await bench.clock.advance(600);
    const second = driver.act(txids[1]!, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    await turns();
    expect([await first, await second]).toMatchObject([{ status: 'pending' }, { status: 'pending' }]);
    bench.store.up();
    await bench.clock.advance(2_000);
    expect(txids.map((txid) => driver.view(txid)!.status)).toEqual(['aborted', 'aborted']);
  });
});

describe('a stop', () => {
  // Found by the simulated drivers: a process that died while it stopped kept the simulation busy for ever.
  it('that waits for a flush does nothing meanwhile', async () => {
    const bench = new Bench();
    const driver = await bench.owner([0]);
    bench.store.hold();
    void begun(driver).catch(() => {});
    await until(() => bench.store.held === 1);
    const stopping = driver.stop();
    await turns();
    const immediates = jest.spyOn(globalThis, 'setImmediate');
    await turns(20);
    expect(immediates).toHaveBeenCalledTimes(20);
    immediates.mockRestore();
    bench.store.release();
    await bench.clock.advance(10_000);
    await stopping;
  });
});

describe('recovery beside new work', () => {
  it('takes turns: neither keeps the other waiting', async () => {
    const bench = new Bench();
    bench.bus.participant('payments', silent);
    const first = await bench.owner([0]);
    await Promise.all(Array.from({ length: 1_600 }, () => begun(first)));
    const successor = bench.driver();
    await bench.bus.assign(successor, [0]);
    bench.store.flushes.length = 0;
    const fresh: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i++) {
      fresh.push(successor.begin(checkout()));
      await turns(3);
    }
    await Promise.all(fresh);
    await until(() => successor.shards()[0]!.recovered);
    const firstBegin = bench.store.flushes.findIndex(({ begins }) => begins.length > 0);
    const lastPage = bench.store.flushes.findLastIndex(({ decisions }) => decisions.length >= 100);
    expect(firstBegin).toBeLessThan(lastPage);
    expect(successor.stats().recovered).toBe(1_600);
    await bench.close();
  });
});
