import type { ProtocolName, Txid } from '#libs/protocol';
import { begun, Bench, sagaCheckout } from '../testing/coordinator-bench.js';
import { turns } from '../testing/fake-clock.js';
import { storedView } from './view.js';

const BRANCHES = ['2pc', '3pc', 'paxos-commit'] as const;

describe('a view from the tables', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.close());

  const start = async (protocol: ProtocolName) => {
    const driver = await bench.owner([0], { lingerMs: 60_000 });
    const txid = await begun(driver, protocol === 'saga' ? sagaCheckout({ metadata: { shop: 1 } }) : { protocol, metadata: { shop: 1 } });
    return { driver, txid };
  };
  const read = (txid: Txid) => storedView(bench.store.stored(txid)!);

  it.each([...BRANCHES, 'saga'] as const)('of an ended transaction is the one from memory (%s)', async (protocol) => {
    const { driver, txid } = await start(protocol);
    await turns(150);
    await bench.clock.advance(50);
    expect(driver.view(txid)!.finishedAtMs).not.toBeNull();
    expect(read(txid)).toEqual(driver.view(txid));
    expect(read(txid)).toMatchObject({ metadata: { shop: 1 }, decision: 'COMMIT' });
  });

  it.each(BRANCHES)('of one that is not decided is pending (%s)', async (protocol) => {
    const { txid } = await start(protocol);
    expect(read(txid)).toMatchObject({
      protocol, status: 'pending', decision: null, reason: null, decidedAtMs: null, finishedAtMs: null, attention: null, resolved: null,
      branches: ['orders', 'payments', 'inventory'].map((participant, index) => ({ index, participant, state: 'waiting', step: null })),
    });
  });

  it('of a saga under way tells what its records tell', async () => {
    bench.bus.site('payments').deafTo.add('EXECUTE');
    const { txid } = await start('saga');
    await turns(150);
    expect(read(txid)).toMatchObject({
      status: 'running', decision: null,
      branches: [{ state: 'done', result: 1 }, { state: 'done' }, { state: 'sent', step: { id: 'debit', after: ['reserve'] } }, { state: 'waiting', attempts: 0 }],
    });
  });

  it('of a saga that is decided and has not ended says which way it goes', async () => {
    bench.bus.site('payments').execute = { said: 'no', reason: { code: 'OUT_OF_MONEY' } };
    bench.bus.site('inventory').deafTo.add('COMPENSATE');
    const { txid } = await start('saga');
    await turns(150);
    expect(read(txid)).toMatchObject({ status: 'compensating', decision: 'ABORT', reason: { code: 'OUT_OF_MONEY' }, finishedAtMs: null });
  });
});
