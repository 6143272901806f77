import { begun, Bench, sagaCheckout } from '../testing/coordinator-bench.js';
import { silent, willing } from '../testing/fake-bus.js';
import { turns } from '../testing/fake-clock.js';

const HOUR_MS = 3_600_000;

// Found by the simulated drivers (seed 233): timers were kept by the wall's time and armed by what elapses, so an hour's jump back held
// all of them up for an hour, and one forward fired them all.
describe.each([['forward', HOUR_MS], ['back', -HOUR_MS]])('the coordinator driver when somebody sets the wall clock an hour %s', (_way, jumpMs) => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  it('aborts at the deadline, neither earlier nor later', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0]);
    const txid = await begun(driver, { timeoutMs: 2_000 });
    await turns();
    bench.clock.jump(jumpMs);
    await bench.clock.advance(1_990);
    expect(driver.view(txid)!.status).toBe('pending');
    await bench.clock.advance(20);
    expect(driver.view(txid)!.status).toBe('aborted');
  });

  it('sets timers right that it owes to a flush under way during the jump', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0]);
    bench.store.hold();
    const beginning = begun(driver, { timeoutMs: 2_000 });
    await turns();
    bench.clock.jump(jumpMs);
    bench.store.release();
    const txid = await beginning;
    await bench.clock.advance(1_990);
    expect(driver.view(txid)!.status).toBe('pending');
    await bench.clock.advance(20);
    expect(driver.view(txid)!.status).toBe('aborted');
  });

  it('repeats COMMIT in its own time', async () => {
    bench.bus.participant('payments', (message) => (message.kind === 'COMMIT' ? [] : willing(message)));
    const driver = await bench.owner([0], { resendAfterMs: 1_000 });
    await begun(driver);
    await bench.clock.advance(50);
    const sent = bench.bus.sentOf('COMMIT').length;
    bench.clock.jump(jumpMs);
    await bench.clock.advance(900);
    expect(bench.bus.sentOf('COMMIT').length).toBe(sent);
    await bench.clock.advance(110);
    expect(bench.bus.sentOf('COMMIT').length).toBe(sent + 1);
  });

  it('lets a caller wait for as long as it asked to', async () => {
    bench.bus.participant('payments', silent);
    const driver = await bench.owner([0]);
    let answered = false;
    const waiting = driver.settled(await begun(driver), 'decided', 300).then((view) => {
      answered = true;
      return view;
    });
    bench.clock.jump(jumpMs);
    await bench.clock.advance(290);
    expect(answered).toBe(false);
    await bench.clock.advance(20);
    expect(await waiting).toMatchObject({ status: 'pending' });
  });

  it('does not use up a saga step\'s time, nor stretch it', async () => {
    bench.bus.site('inventory').deafTo.add('EXECUTE');
    const driver = await bench.owner([0], { lingerMs: 60_000 });
    const steps = sagaCheckout().steps.map((step) => ({ ...step, timeoutMs: 1_000, retry: { maxAttempts: 100, firstMs: 100, maxMs: 100 } }));
    const txid = await begun(driver, sagaCheckout({ steps }));
    await turns(50);
    bench.clock.jump(jumpMs);
    await bench.clock.advance(800);
    expect(driver.view(txid)).toMatchObject({ status: 'running', decision: null });
    await bench.clock.advance(2_000);
    expect(await driver.settled(txid, 'finished', 1)).toMatchObject({ status: 'compensated', reason: { code: 'STEP_TIMEOUT' } });
  });

  it('forgets finished transactions when their time has come', async () => {
    const driver = await bench.owner([0], { lingerMs: 1_000 });
    const txid = await begun(driver);
    await bench.clock.advance(50);
    bench.clock.jump(jumpMs);
    await bench.clock.advance(500);
    expect(driver.view(txid)).not.toBeNull();
    await bench.clock.advance(2_500);
    expect(driver.view(txid)).toBeNull();
  });
});
