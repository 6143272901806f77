import { shardOf } from '#libs/protocol';
import { begun, Bench } from '../testing/coordinator-bench.js';
import { turns } from '../testing/fake-clock.js';

// Found by the simulated drivers: an inquiry that came between the last ACK and the flush of END showed the transaction as finished, and if
// the shard was lost before that flush, it counted as in flight for ever, until the driver refused all work as overloaded.
describe('an END that waits for company', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  it('is seen by nobody, although a branch inquires meanwhile', async () => {
    const { driver, txid } = await inquiredBeforeEnd(bench);
    expect(bench.store.ends.has(txid)).toBe(false);
    expect(driver.view(txid)).toMatchObject({ status: 'committed', finishedAtMs: null });
  });

  it('leaves nothing behind when the shard is lost before it is written', async () => {
    const { driver } = await inquiredBeforeEnd(bench);
    await driver.assigned([]);
    expect(driver.stats().inFlight).toBe(0);
  });
});

/** Committed and acknowledged by all; END waits; a branch has inquired. */
async function inquiredBeforeEnd(bench: Bench) {
  const driver = await bench.owner([0], { lazyMs: 1_000 });
  const txid = await begun(driver);
  await driver.settled(txid, 'decided', 60_000);
  bench.bus.post(shardOf(txid), [0, 1, 2].map((branch) => ({ kind: 'ACK', txid, branch }) as const));
  await turns();
  bench.bus.post(shardOf(txid), [{ kind: 'INQUIRY', txid, branch: 1, participant: 'payments' }]);
  await turns();
  return { driver, txid };
}
