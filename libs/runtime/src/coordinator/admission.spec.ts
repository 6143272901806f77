import { begun, Bench, checkout, sagaCheckout } from '../testing/coordinator-bench.js';
import { silent, willing } from '../testing/fake-bus.js';
import { until } from '../testing/fake-clock.js';

describe('admission by participant', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
    bench.bus.participant('payments', silent);
  });
  afterEach(() => bench.close());

  const to = (...names: readonly string[]) => ({ branches: names.map((participant) => ({ participant, operation: 'work', payload: null })) });

  it('refuses what names a participant that has too many undecided transactions, and takes what does not', async () => {
    const driver = await bench.owner([0], { maxInFlightPerParticipant: 3 });
    for (let i = 0; i < 3; i++) await begun(driver, to('orders', 'payments'));
    await expect(driver.begin(checkout(to('payments', 'inventory')))).rejects.toMatchObject({
      name: 'UnavailableError', code: 'PARTICIPANT_OVERLOADED', message: expect.stringContaining('payments'), retryAfterMs: expect.any(Number),
    });
    await expect(driver.begin(sagaCheckout())).rejects.toMatchObject({ code: 'PARTICIPANT_OVERLOADED' });
    bench.bus.participant('payments', willing);
    await driver.act([...bench.store.begins.keys()][0]!, { kind: 'RETRY_NOW' });
    await until(() => driver.stats().undecided === 2);
    expect(await driver.begin(checkout(to('payments', 'inventory')))).toMatchObject({ kind: 'begun' });
    expect(driver.stats().refused).toBe(2);
  });

  it('counts those that have not begun yet', async () => {
    const driver = await bench.owner([0], { maxInFlightPerParticipant: 4 });
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => driver.begin(checkout(to('payments', 'orders')))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
  });

  it('counts a participant of several branches once, and forgets it when it is decided, in whatever way it leaves', async () => {
    const driver = await bench.owner([0], { maxInFlightPerParticipant: 1, storeFaultGraceMs: 500 });
    const txid = await begun(driver, to('payments', 'payments'));
    await driver.act(txid, { kind: 'CANCEL', reason: { code: 'CANCELLED' } });
    const lost = await begun(driver, to('payments', 'orders'));
    await driver.assigned([]);
    expect(driver.view(lost)).toBeNull();
    await driver.assigned([0]);
    await until(() => driver.shards()[0]!.recovered && driver.stats().undecided === 0);
    bench.store.down();
    const given = driver.begin(checkout(to('payments', 'orders'))).catch((error: unknown) => error);
    await bench.clock.advance(600);
    expect(await given).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    bench.store.up();
    await bench.clock.advance(2_000);
    expect(await driver.begin(checkout(to('payments', 'orders')))).toMatchObject({ kind: 'begun' });
  });
});
