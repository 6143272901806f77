import { makeTxid } from '#libs/protocol';
import { begun, Bench, checkout } from '../testing/coordinator-bench.js';
import { silent } from '../testing/fake-bus.js';
import { turns, until } from '../testing/fake-clock.js';

describe('the coordinator driver under faults', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  describe('the store', () => {
    it('is tried again after a passing fault', async () => {
      const driver = await bench.owner([0]);
      bench.store.down();
      const begin = begun(driver);
      await bench.clock.advance(100);
      bench.store.up();
      await bench.clock.advance(1_000);
      expect((await driver.settled(await begin, 'decided', 5_000))!.status).toBe('committed');
      expect(bench.journal.errors.some(({ context }) => context === 'flush')).toBe(true);
    });

    it('out of reach: who waits and who comes is refused, nothing of that ever commits, and work resumes by itself', async () => {
      const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
      bench.store.down();
      const inFlush = driver.begin(checkout({ idempotency: { key: 'k', requestHash: 'h' } })).catch((error: unknown) => error);
      await turns();
      const inQueue = driver.begin(checkout()).catch((error: unknown) => error);
      await bench.clock.advance(600);
      for (const answer of [inFlush, inQueue]) expect(await answer).toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterMs: expect.any(Number) });
      await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      bench.store.up();
      await bench.clock.advance(1_500);
      expect([...bench.store.register.values()].map((entry) => entry.decision)).toEqual(['ABORT']);
      expect(bench.bus.sentOf('PREPARE')).toEqual([]);
      const again = await driver.begin(checkout({ idempotency: { key: 'k', requestHash: 'h' } }));
      expect(again.kind).toBe('begun');
      expect((await driver.settled(again.txid, 'decided', 5_000))!.status).toBe('committed');
      expect(driver.stats()).toMatchObject({ storeStalled: false });
    });

    it('out of reach: a one-phase transaction that was given up is never carried out', async () => {
      const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
      bench.store.down();
      const answer = driver.begin(checkout({ branches: [{ participant: 'orders', operation: 'work', payload: null }] })).catch((error: unknown) => error);
      await bench.clock.advance(600);
      expect(await answer).toMatchObject({ code: 'STORE_UNAVAILABLE' });
      bench.store.up();
      await bench.clock.advance(1_500);
      expect(bench.bus.sentOf('PREPARE_AND_COMMIT')).toEqual([]);
      expect([...bench.store.ends.values()].map((end) => end.outcome)).toEqual(['aborted']);
    });

    it('out of reach during a decision: the decision is made when it is back', async () => {
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      bench.store.down();
      await bench.clock.advance(5_000);
      expect(driver.view(txid)!.status).toBe('pending');
      bench.store.up();
      await bench.clock.advance(2_000);
      expect(driver.view(txid)!.status).toBe('committed');
    });

    it('out of reach: an operator is not kept waiting', async () => {
      bench.bus.participant('orders', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      bench.store.down();
      const acted = driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
      await bench.clock.advance(4_000);
      expect(await acted).toMatchObject({ status: 'pending' });
    });

    it('may hold another word than this owner proposed: the register is obeyed', async () => {
      bench.bus.participant('inventory', silent);
      const driver = await bench.owner([0]);
      const txid = await begun(driver);
      await until(() => bench.bus.sentOf('PREPARE').length === 3);
      await bench.store.presumeAbort([txid], bench.clock.now());
      bench.bus.post(0, [{ kind: 'VOTE', txid, branch: 2, vote: 'yes' }]);
      expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'aborted', reason: { code: 'NO_RECORD' } });
      await bench.clock.advance(20);
      expect(bench.bus.sentOf('ABORT')).toHaveLength(3);
      expect(bench.bus.sentOf('COMMIT')).toEqual([]);
    });
  });

  describe('the transport', () => {
    it('down: messages are repeated until they are acknowledged, and repetitions do not pile up', async () => {
      const driver = await bench.owner([0], { resendAfterMs: 100, storeFaultGraceMs: 60_000 });
      const txid = await begun(driver);
      await driver.settled(txid, 'decided', 5_000);
      bench.bus.down();
      await bench.clock.advance(30_000);
      expect(driver.stats().unsent).toBe(3);
      expect(bench.bus.undone(0)).toBeGreaterThan(0);
      bench.bus.up();
      await bench.clock.advance(3_000);
      expect(bench.store.ends.get(txid)?.outcome).toBe('committed');
      await bench.clock.advance(3_000);
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('down for long: new work is refused', async () => {
      const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
      bench.bus.down();
      await begun(driver);
      await bench.clock.advance(600);
      await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'TRANSPORT_UNAVAILABLE' });
      bench.bus.up();
      await bench.clock.advance(2_500);
      expect((await driver.begin(checkout())).kind).toBe('begun');
    });
  });

  describe('presumed abort', () => {
    const txid = makeTxid(0, 1_700_000_000_000, new Uint8Array(8));

    it('answers an inquiry about an unknown transaction only after ABORT is in its register', async () => {
      await bench.owner([0]);
      bench.bus.post(0, [0, 1].map((branch) => ({ kind: 'INQUIRY', txid, branch, participant: 'orders' }) as const));
      await bench.clock.advance(20);
      expect(bench.store.register.get(txid)).toMatchObject({ decision: 'ABORT', reason: { code: 'NO_RECORD' } });
      expect(bench.bus.sentOf('ABORT').map(({ message }) => 'branch' in message && message.branch)).toEqual([0, 1]);
      expect(bench.store.presumed).toBe(1);
      expect(bench.bus.undone(0)).toBe(0);
    });

    it('tells COMMIT when the register of a forgotten transaction holds it', async () => {
      const driver = await bench.owner([0], { lingerMs: 10 });
      const committed = await begun(driver);
      await bench.clock.advance(100);
      expect(driver.view(committed)).toBeNull();
      bench.bus.sent.length = 0;
      bench.bus.post(0, [{ kind: 'INQUIRY', txid: committed, branch: 1, participant: 'payments' }]);
      await bench.clock.advance(20);
      expect(bench.bus.sent).toEqual([{ to: { role: 'participant', name: 'payments' }, message: { kind: 'COMMIT', txid: committed, branch: 1 } }]);
    });

    it('lets votes for an unknown transaction go: its participant inquires', async () => {
      await bench.owner([0]);
      bench.bus.post(0, [{ kind: 'VOTE', txid, branch: 0, vote: 'yes' }, { kind: 'ACK', txid, branch: 0 }]);
      await until(() => bench.bus.undone(0) === 0);
      expect(bench.store.register.size).toBe(0);
      expect(bench.bus.deadLetters).toEqual([]);
    });

    it('waits for the store', async () => {
      await bench.owner([0]);
      bench.store.down();
      bench.bus.post(0, [{ kind: 'INQUIRY', txid, branch: 0, participant: 'orders' }]);
      await bench.clock.advance(500);
      expect(bench.bus.sent).toEqual([]);
      expect(bench.bus.undone(0)).toBe(1);
      bench.store.up();
      await bench.clock.advance(1_500);
      expect(bench.bus.sentOf('ABORT')).toHaveLength(1);
    });
  });

  describe('stop', () => {
    it('refuses new work, waits for outcomes, and leaves nothing half done', async () => {
      const driver = await bench.owner([0]);
      bench.store.hold();
      const begin = begun(driver);
      await until(() => bench.store.held === 1);
      const stopped = driver.stop();
      await expect(driver.begin(checkout())).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
      bench.store.release();
      const txid = await begin;
      await until(() => bench.store.register.has(txid));
      await stopped;
      expect(bench.bus.sentOf('COMMIT')).toHaveLength(3);
      expect(driver.stats()).toMatchObject({ inFlight: 0, queued: 0, unsent: 0 });
    });

    it('writes down the ends that were waiting for company', async () => {
      const driver = await bench.owner([0], { lazyMs: 1_000, resendAfterMs: 60_000 });
      const txid = await begun(driver);
      await driver.settled(txid, 'decided', 60_000);
      await bench.clock.advance(1_000);
      await until(() => driver.timeline(txid)!.filter((event) => event.name === 'ACK').length === 3);
      expect(bench.store.ends.has(txid)).toBe(false);
      await driver.stop();
      expect(bench.store.ends.has(txid)).toBe(true);
    });

    it('does not wait for ever for a participant or for the store', async () => {
      bench.bus.participant('orders', silent);
      const driver = await bench.owner([0], { drainMs: 1_000 });
      const txid = await begun(driver);
      const waiting = driver.settled(txid, 'decided', 60_000);
      bench.store.down();
      bench.bus.down();
      const stuck = driver.begin(checkout()).catch((error: unknown) => error);
      const stopped = driver.stop();
      await bench.clock.advance(2_500);
      await stopped;
      expect(await waiting).toBeNull();
      expect(await stuck).toMatchObject({ name: 'UnavailableError' });
      expect(bench.clock.pending).toBe(0);
    });

    it('takes twice drainMs at most when the group cannot be left', async () => {
      const driver = bench.driver({ drainMs: 1_000 });
      bench.bus.subscribe = async () => ({ close: () => new Promise<void>(() => {}) });
      await driver.start();
      bench.bus.participant('orders', silent);
      await bench.bus.assign(driver, [0]);
      await begun(driver);
      let isStopped = false;
      void driver.stop().then(() => {
        isStopped = true;
      });
      await bench.clock.advance(2_010);
      expect(isStopped).toBe(true);
    });

    it('waits for nothing that is known to be out of reach', async () => {
      bench.bus.participant('orders', silent);
      const driver = await bench.owner([0], { drainMs: 1_000 });
      await begun(driver);
      await until(() => bench.bus.sentOf('PREPARE').length === 3);
      bench.bus.isHealthy = false;
      let isStopped = false;
      void driver.stop().then(() => {
        isStopped = true;
      });
      await bench.clock.advance(10);
      expect(isStopped).toBe(true);
    });
  });
});
