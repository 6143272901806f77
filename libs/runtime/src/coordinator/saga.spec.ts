import type { Txid } from '#libs/protocol';
import { begun, Bench, sagaCheckout } from '../testing/coordinator-bench.js';
import { turns, until } from '../testing/fake-clock.js';
import { storedView } from './view.js';

describe('the coordinator driver with sagas', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const stored = (txid: Txid) => bench.store.stored(txid)!;
  const sentTo = (kind: 'EXECUTE' | 'COMPENSATE'): readonly unknown[] => bench.bus.sentOf(kind).map(({ message }) => 'step' in message && message.step);
  const failing = { said: 'failed', reason: { code: 'NOT_NOW' } } as const;
  /** Everything that needs no more than a moment has happened. */
  const settled = async (): Promise<void> => {
    await turns(150);
    await bench.clock.advance(50);
  };
  const refusing = { said: 'no', reason: { code: 'OUT_OF_MONEY' } } as const;

  it('executes its steps in order, each after SENT is durable, and completes', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver, sagaCheckout());
    const finished = driver.settled(txid, 'finished', 60_000);
    await settled();
    expect(await finished).toMatchObject({ protocol: 'saga', status: 'completed', decision: 'COMMIT', reason: null, attention: null, resolved: null });
    expect(sentTo('EXECUTE')).toEqual(['place', 'reserve', 'debit', 'confirm']);
    expect(driver.view(txid)!.branches).toMatchObject([
      { state: 'done', step: { id: 'place', kind: 'compensatable', after: [] } }, { state: 'done', step: { id: 'reserve', after: ['place'] } },
      { state: 'done', step: { id: 'debit', kind: 'pivot' } }, { state: 'done', result: 1, attempts: 1, vote: null },
    ]);
    expect(stored(txid)).toMatchObject({ register: { decision: 'COMMIT' }, progress: [], end: { outcome: 'completed', resolved: null } });
    expect(bench.store.timelines.get(txid)).toEqual(driver.timeline(txid));
    expect(driver.timeline(txid)!.find(({ name }) => name === 'SENT')).toMatchObject({ type: 'record', detail: 'place' });
    expect(driver.timeline(txid)!.find(({ name }) => name === 'EXECUTED')).toMatchObject({ from: 'orders', branch: 0, detail: 'place' });
    expect(bench.bus.undone(0)).toBe(0);
  });

  it('is decided when the register has spoken, publishes its outcome when it has ended, and is `running` between the two', async () => {
    bench.bus.site('orders').deafTo.add('EXECUTE');
    const driver = await bench.owner([0]);
    const request = sagaCheckout({ steps: sagaCheckout().steps.slice(2) });
    const txid = await begun(driver, request);
    expect(await driver.settled(txid, 'decided', 5_000)).toMatchObject({ status: 'running', decision: 'COMMIT', decidedAtMs: expect.any(Number), finishedAtMs: null });
    await settled();
    expect(bench.bus.outcomes).toEqual([]);
    bench.bus.site('orders').deafTo.clear();
    await bench.clock.advance(1_500);
    expect(bench.bus.outcomes).toMatchObject([{ txid, protocol: 'saga', status: 'completed' }]);
    expect(bench.journal.decidedViews).toHaveLength(1);
    expect(bench.journal.finishedViews).toHaveLength(1);
  });

  it('compensates in reverse when the pivot refuses', async () => {
    bench.bus.site('payments').execute = refusing;
    const driver = await bench.owner([0]);
    const txid = await begun(driver, sagaCheckout());
    await settled();
    expect(driver.view(txid)).toMatchObject({ status: 'compensated', decision: 'ABORT', reason: { code: 'OUT_OF_MONEY', participant: 'payments' } });
    expect(sentTo('COMPENSATE')).toEqual(['reserve', 'place']);
    expect(driver.view(txid)!.branches.map(({ state }) => state)).toEqual(['compensated', 'compensated', 'refused', 'waiting']);
    expect(stored(txid)).toMatchObject({ register: { decision: 'ABORT' }, end: { outcome: 'compensated' } });
  });

  it('sends no EXECUTE before BEGIN is durable, nor of a later step before SENT is, nor COMPENSATE before DECIDE is', async () => {
    bench.bus.site('inventory').execute = refusing;
    const driver = await bench.owner([0]);
    bench.store.hold();
    const beginning = begun(driver, sagaCheckout());
    for (const [flush, executes, compensates] of [[1, 0, 0], [2, 1, 0], [3, 2, 0]] as const) {
      await until(() => bench.store.held === 1);
      await turns();
      expect({ flush, executes: sentTo('EXECUTE').length, compensates: sentTo('COMPENSATE').length }).toEqual({ flush, executes, compensates });
      bench.store.release();
      bench.store.hold();
    }
    bench.store.release();
    const txid = await beginning;
    await settled();
    expect(driver.view(txid)!.status).toBe('compensated');
  });

  it('sends what COMMIT obliges it to without waiting for SENT, and notes it all the same', async () => {
    bench.bus.site('orders').deafTo.add('EXECUTE');
    const driver = await bench.owner([0]);
    const txid = await begun(driver, sagaCheckout({ steps: sagaCheckout().steps.slice(2) }));
    await until(() => bench.store.register.has(txid));
    bench.store.hold();
    await until(() => sentTo('EXECUTE').length === 2);
    expect([sentTo('EXECUTE'), bench.store.progressKeys('SENT', txid)]).toEqual([['debit', 'confirm'], ['debit']]);
    bench.store.release();
    await bench.clock.advance(5);
    await until(() => bench.store.progressKeys('SENT', txid).length === 2);
  });

  it('aborts when it is cancelled, and at its deadline', async () => {
    bench.bus.site('inventory').deafTo.add('EXECUTE');
    const driver = await bench.owner([0]);
    const [cancelled, late] = [await begun(driver, sagaCheckout()), await begun(driver, sagaCheckout({ timeoutMs: 300 }))];
    expect(await driver.act(cancelled, { kind: 'CANCEL', reason: { code: 'CANCELLED' } })).toMatchObject({ decision: 'ABORT', reason: { code: 'CANCELLED' } });
    await bench.clock.advance(2_000);
    expect(driver.view(cancelled)).toMatchObject({ status: 'compensated' });
    expect(await driver.settled(late, 'finished', 1)).toMatchObject({ status: 'compensated', reason: { code: 'SAGA_TIMEOUT' } });
  });

  describe('that needs a person', () => {
    const stuck = async (options = {}) => {
      bench.bus.site('payments').execute = refusing;
      bench.bus.site('inventory').compensate = failing;
      const driver = await bench.owner([0], { lingerMs: 600_000, ...options });
      const txid = await begun(driver, sagaCheckout());
      await bench.clock.advance(5_000);
      return { driver, txid };
    };

    it('says so, once and durably, and goes on trying', async () => {
      const { driver, txid } = await stuck();
      expect(driver.view(txid)).toMatchObject({ status: 'needs-attention', attention: { step: 'reserve', why: { code: 'RETRIES_EXHAUSTED', participant: 'inventory' } } });
      expect(bench.journal.attentionViews).toMatchObject([{ txid, status: 'needs-attention' }]);
      expect(stored(txid).progress.map(({ kind }) => kind)).toContain('ATTENTION');
      expect(storedView(stored(txid))).toMatchObject({ status: 'needs-attention', decision: 'ABORT', attention: { step: 'reserve' } });
      bench.bus.site('inventory').compensate = { said: 'done' };
      await bench.clock.advance(5_000);
      expect(driver.view(txid)).toMatchObject({ status: 'compensated', attention: null, resolved: null });
    });

    it('goes on without a step that somebody skips, for a reason that is kept', async () => {
      const { driver, txid } = await stuck();
      bench.store.hold();
      const skipped = driver.act(txid, { kind: 'SKIP_STEP', step: 'reserve', reason: { code: 'SKIPPED', detail: 'by hand' } });
      await until(() => bench.store.held === 1);
      expect(sentTo('COMPENSATE')).not.toContain('place');
      bench.store.release();
      await skipped;
      expect(bench.store.flushes.flatMap(({ progress }) => progress).filter(({ kind }) => kind === 'SKIP')).toMatchObject([{ key: 'reserve', data: { reason: { code: 'SKIPPED' } } }]);
      await settled();
      expect(driver.view(txid)).toMatchObject({ status: 'compensated', branches: [{ state: 'compensated' }, { state: 'skipped' }, {}, {}] });
    });

    it('ends when somebody resolves it', async () => {
      const { driver, txid } = await stuck();
      const resolved = driver.act(txid, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } });
      await bench.clock.advance(20);
      expect(await resolved).toMatchObject({ status: 'compensated', resolved: { code: 'RESOLVED_BY_OPERATOR' } });
      expect(stored(txid).end).toMatchObject({ outcome: 'compensated', resolved: { code: 'RESOLVED_BY_OPERATOR' } });
      expect(storedView(stored(txid))).toEqual(driver.view(txid));
    });

    it('is tried again at once when somebody says so', async () => {
      const { driver, txid } = await stuck();
      bench.bus.site('inventory').compensate = { said: 'done' };
      await driver.act(txid, { kind: 'RETRY_NOW' });
      await until(() => driver.view(txid)!.branches[1]!.state === 'compensated');
    });

    it('still needs one after a new owner has loaded it', async () => {
      const { txid } = await stuck();
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid) !== null);
      expect(successor.view(txid)).toMatchObject({ status: 'needs-attention', attention: { step: 'reserve' } });
    });
  });

  it('does not skip what is not a saga\'s', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver);
    const acted = driver.act(txid, { kind: 'SKIP_STEP', step: 'x', reason: { code: 'X' } });
    await bench.clock.advance(20);
    expect((await acted)!.status).toMatch(/pending|committed/);
    expect(bench.journal.errors).toEqual([]);
  });

  describe('recovery', () => {
    it('goes on forward from the steps that were sent, and does none twice', async () => {
      bench.bus.site('inventory').deafTo.add('EXECUTE');
      const txid = await begun(await bench.owner([0]), sagaCheckout());
      await until(() => bench.store.progressKeys('SENT', txid).includes('reserve'));
      bench.bus.site('inventory').deafTo.clear();
      const successor = await bench.owner([0]);
      await until(() => successor.view(txid) !== null);
      await settled();
      expect(successor.view(txid)).toMatchObject({ status: 'completed' });
      expect(sentTo('EXECUTE')).toEqual(['place', 'reserve', 'reserve', 'debit', 'confirm']);
    });

    it('aborts one of which nothing was noted as sent, and undoes its first steps, which may have been', async () => {
      bench.bus.site('inventory').deafTo.add('EXECUTE');
      const first = await bench.owner([0]);
      const { steps: [place, reserve, debit, confirm] } = sagaCheckout();
      const txid = await begun(first, sagaCheckout({ steps: [place!, { ...reserve!, after: [] }, { ...debit!, after: ['place', 'reserve'] }, confirm!] }));
      await until(() => bench.bus.site('orders').stepState(txid, 0) === 'executed');
      bench.store.hold();
      await first.assigned([]);
      expect(bench.store.progressKeys('SENT', txid)).toEqual([]);
      bench.store.release();
      const successor = await bench.owner([0]);
      await settled();
      expect(successor.view(txid)).toMatchObject({ status: 'compensated', reason: { code: 'COORDINATOR_RECOVERED' } });
      expect([bench.bus.site('orders').stepState(txid, 0), bench.bus.site('inventory').stepState(txid, 1)]).toEqual(['compensated', 'cancelled']);
    });

    it('asks a pivot that may have been sent before it aborts, and commits if it has executed', async () => {
      const first = await bench.owner([0]);
      const txid = await begun(first, sagaCheckout({ steps: sagaCheckout().steps.slice(2) }));
      await until(() => bench.bus.site('payments').stepState(txid, 0) === 'executed');
      bench.store.hold();
      await first.assigned([]);
      expect([bench.store.progressKeys('SENT', txid), bench.store.register.has(txid)]).toEqual([[], false]);
      bench.store.release();
      const successor = await bench.owner([0]);
      await settled();
      expect(successor.view(txid)).toMatchObject({ status: 'completed' });
    });

    it('aborts one of which no step was sent: its caller may have been told that it will never commit', async () => {
      const driver = await bench.owner([0]);
      bench.store.hold();
      const answer = begun(driver, sagaCheckout()).catch((error: unknown) => error);
      await until(() => bench.store.held === 1);
      await driver.assigned([]);
      bench.store.release();
      expect(await answer).toMatchObject({ code: 'NO_SHARD' });
      await until(() => bench.store.begins.size === 1);
      const successor = await bench.owner([0]);
      await settled();
      const [txid] = bench.store.begins.keys();
      expect(successor.view(txid!)).toMatchObject({ status: 'compensated', reason: { code: 'COORDINATOR_RECOVERED' } });
      expect(sentTo('EXECUTE')).toEqual([]);
    });

    it('carries out what the register holds', async () => {
      bench.bus.site('payments').execute = refusing;
      const first = await bench.owner([0]);
      const txid = await begun(first, sagaCheckout());
      await until(() => bench.store.register.has(txid));
      await first.assigned([]);
      const successor = await bench.owner([0]);
      await settled();
      expect(successor.view(txid)).toMatchObject({ status: 'compensated', reason: { code: 'OUT_OF_MONEY' } });
      expect(bench.bus.site('orders').stepState(txid, 0)).toBe('compensated');
    });

    it('remembers what was skipped', async () => {
      bench.bus.site('payments').execute = refusing;
      bench.bus.site('inventory').compensate = failing;
      bench.bus.site('orders').deafTo.add('COMPENSATE');
      const first = await bench.owner([0]);
      const txid = await begun(first, sagaCheckout());
      await settled();
      await first.act(txid, { kind: 'SKIP_STEP', step: 'reserve', reason: { code: 'SKIPPED' } });
      expect(storedView(stored(txid)).branches[1]!.state).toBe('skipped');
      bench.bus.site('orders').deafTo.clear();
      const successor = await bench.owner([0]);
      await settled();
      expect(successor.view(txid)).toMatchObject({ status: 'compensated', branches: [{ state: 'compensated' }, { state: 'skipped' }, {}, {}] });
    });
  });

  it('a fenced owner sends no step', async () => {
    bench.bus.site('orders').deafTo.add('EXECUTE');
    const driver = await bench.owner([0]);
    const txid = await begun(driver, sagaCheckout());
    await until(() => sentTo('EXECUTE').length === 1);
    await bench.store.acquireShards([0], 'a stranger');
    bench.bus.post(0, [{ protocol: 'saga', kind: 'EXECUTED', txid, branch: 0, step: 'place', result: 1 }]);
    await until(() => driver.view(txid) === null);
    expect(sentTo('EXECUTE')).toEqual(['place']);
  });

  it('waits with the next step while the store is away', async () => {
    const driver = await bench.owner([0]);
    const txid = await begun(driver, sagaCheckout({ timeoutMs: 600_000 }));
    bench.store.down();
    await bench.clock.advance(10_000);
    expect(sentTo('EXECUTE')).not.toContain('reserve');
    bench.store.up();
    await bench.clock.advance(3_000);
    await settled();
    expect(driver.view(txid)!.status).toBe('completed');
  });

  it('is never begun for a caller who was told that it was not, even if nothing could refuse it', async () => {
    const driver = await bench.owner([0], { storeFaultGraceMs: 500 });
    bench.store.down();
    const answer = begun(driver, sagaCheckout({ steps: sagaCheckout().steps.slice(3) })).catch((error: unknown) => error);
    await bench.clock.advance(600);
    expect(await answer).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    bench.store.up();
    await bench.clock.advance(1_500);
    await settled();
    expect(bench.bus.sent).toEqual([]);
    expect([...bench.store.ends.values()].map(({ outcome }) => outcome)).toEqual(['compensated']);
  });

  it('drops what comes after END', async () => {
    const driver = await bench.owner([0], { lingerMs: 10 });
    const txid = await begun(driver, sagaCheckout());
    await settled();
    expect(driver.view(txid)).toBeNull();
    bench.bus.post(0, [{ protocol: 'saga', kind: 'EXECUTED', txid, branch: 0, step: 'place', result: 1 }]);
    await until(() => bench.bus.undone(0) === 0);
    expect({ lookUps: bench.store.lookUps, presumed: bench.store.presumed, dead: bench.bus.deadLetters }).toEqual({ lookUps: 0, presumed: 0, dead: [] });
  });
});
