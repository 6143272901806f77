import { turns } from './testing/fake-clock.js';
import { abort, BRANCH, commit, prepare, World } from './testing/world.js';

async function prepared(count: number, options = {}) {
  const world = await World.started(options);
  const txids = Array.from({ length: count }, () => world.txid());
  await world.deliver(txids.map((txid) => prepare(txid)));
  world.transport.sends.length = 0;
  return { world, txids };
}

describe('phase two of a participant', () => {
  it('applies a commit, and acknowledges it after a little wait for company', async () => {
    const { world, txids: [txid] } = await prepared(1);
    const batch = await world.deliver([commit(txid!)]);
    expect(world.store.number('booked')).toBe(1);
    expect(world.transport.sends).toEqual([]);
    expect(batch.isDone).toBe(false);
    await world.clock.advance(5);
    expect(world.said(txid!)).toEqual(['ACK']);
    expect(batch.isDone).toBe(true);
  });

  it('lets acknowledgements ride along with a vote', async () => {
    const { world, txids: [txid] } = await prepared(1);
    const next = world.txid();
    await world.deliver([commit(txid!)]);
    await world.deliver([prepare(next)]);
    expect(world.transport.sends.map((envelopes) => envelopes.map(({ message }) => message.kind))).toEqual([['ACK', 'VOTE']]);
  });

  it('hands what prepare returned to the commit handler', async () => {
    const { world, txids: [txid] } = await prepared(1);
    await world.deliver([commit(txid!)]);
    expect(world.runner.calls.at(-1)).toEqual({ protocol: '2pc', action: 'commit', operation: 'debit', payload: { amount: 1 }, inputs: {}, result: { hold: 'h-1' }, txid, branch: BRANCH });
  });

  it('gives back what an abort releases, and acknowledges it only when asked', async () => {
    const { world, txids: [quiet, asked] } = await prepared(2);
    await world.deliver([abort(quiet!), abort(asked!, true)]);
    await world.clock.advance(5);
    expect(world.store.number('reserved')).toBe(0);
    expect([world.said(quiet!), world.said(asked!)]).toEqual([[], ['ACK']]);
  });

  it('acknowledges a repeated commit from the row', async () => {
    const { world, txids: [txid] } = await prepared(1);
    await world.deliver([commit(txid!)]);
    await world.deliver([commit(txid!)]);
    await world.clock.advance(10);
    expect(world.said(txid!)).toEqual(['ACK', 'ACK']);
    expect(world.store.number('booked')).toBe(1);
  });
});

describe('a branch whose commit handler fails', () => {
  async function poisoned() {
    const { world, txids } = await prepared(3, { park: { firstMs: 200, maxMs: 1_000 } });
    const poison = txids[1]!;
    let isBroken = true;
    world.runner.commit = (ledger, { txid }) => {
      ledger.add('booked', 1);
      if (isBroken && txid === poison) throw new Error('ledger is closed');
    };
    const repair = () => {
      isBroken = false;
    };
    const batch = await world.deliver(txids.map((txid) => commit(txid)));
    return { world, txids, poison, repair, batch };
  }

  it('is parked in sight, its acknowledgement withheld, while its neighbours and the partition go on', async () => {
    const { world, txids, poison, batch } = await poisoned();
    await world.clock.advance(5);
    expect(txids.map((txid) => world.said(txid))).toEqual([['ACK'], [], ['ACK']]);
    expect(world.store.number('booked')).toBe(2);
    expect(batch.isDone).toBe(true);
    expect(world.driver.parked()).toMatchObject([{ txid: poison, branch: BRANCH, action: 'commit', operation: 'debit', attempts: 1, error: 'ledger is closed' }]);
    expect(world.driver.inDoubt()).toEqual([]);
    const next = world.txid();
    await world.deliver([prepare(next)]);
    expect(world.said(next)).toEqual(['VOTE yes']);
  });

  it('is retried with backoff and acknowledged at last', async () => {
    const { world, poison, repair } = await poisoned();
    const attempts = () => world.runner.calls.filter(({ txid, action }) => txid === poison && action === 'commit').length;
    await world.clock.advance(199);
    expect(attempts()).toBe(1);
    await world.clock.advance(1);
    expect(attempts()).toBe(2);
    await world.clock.advance(399);
    expect(attempts()).toBe(2);
    await world.clock.advance(1);
    expect(attempts()).toBe(3);
    expect(world.parkings.map(({ attempts }) => attempts)).toEqual([1, 2, 3]);
    repair();
    await world.clock.advance(805);
    expect(world.said(poison)).toEqual(['ACK']);
    expect(world.driver.parked()).toEqual([]);
    expect(world.unparkings).toHaveLength(1);
    expect(world.store.row({ txid: poison, branch: BRANCH })?.state).toBe('committed');
    expect(world.store.number('booked')).toBe(3);
  });

  it('is not tried more often because the coordinator repeats the decision', async () => {
    const { world, poison } = await poisoned();
    const before = world.runner.calls.length;
    const repeated = await world.deliver([commit(poison), commit(poison)]);
    await world.clock.advance(5);
    expect(world.runner.calls).toHaveLength(before);
    expect(repeated.isDone).toBe(true);
    expect(world.said(poison)).toEqual([]);
  });

  it('survives a restart: its row still says prepared, and the repeated decision is applied', async () => {
    const { world, poison, repair } = await poisoned();
    await world.restart();
    expect(world.driver.parked()).toEqual([]);
    expect(world.driver.inDoubt()).toMatchObject([{ txid: poison }]);
    repair();
    await world.deliver([commit(poison)]);
    await world.clock.advance(5);
    expect(world.said(poison)).toEqual(['ACK']);
    expect(world.store.number('booked')).toBe(3);
    expect(world.driver.inDoubt()).toEqual([]);
  });

  it('is left alone once its partition belongs to somebody else', async () => {
    const { world } = await poisoned();
    const before = world.runner.calls.length;
    await world.driver.assigned([1, 2, 3]);
    await world.clock.advance(10_000);
    expect(world.driver.parked()).toEqual([]);
    expect(world.runner.calls).toHaveLength(before);
  });

  it('is found when the fault shows only at the flush of the whole transaction', async () => {
    const { world, txids } = await prepared(4);
    const runAll = world.runner.run.bind(world.runner);
    world.runner.run = async (tx, calls) => {
      if (calls.some(({ txid }) => txid === txids[2])) throw new Error('violates a deferred constraint');
      return runAll(tx, calls);
    };
    await world.deliver(txids.map((txid) => commit(txid)));
    await turns(40);
    await world.clock.advance(5);
    expect(txids.map((txid) => world.said(txid))).toEqual([['ACK'], ['ACK'], [], ['ACK']]);
    expect(world.driver.parked()).toMatchObject([{ txid: txids[2], error: 'violates a deferred constraint' }]);
  });
});
