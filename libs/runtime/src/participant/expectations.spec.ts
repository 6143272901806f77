import { abort, BRANCH, commit, prepare, World } from './testing/world.js';

/** Long enough ago for transactions to be younger than that. */
async function started(): Promise<World> {
  const world = await World.started();
  await world.clock.advance(1);
  return world;
}

describe('what a participant expects of its rows', () => {
  it('saves it the look: a new branch has none, and one that it has prepared is as it was written', async () => {
    const world = await started();
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([commit(txid)]);
    await world.clock.advance(100);
    expect(world.store.lookUps).toBe(0);
    expect(world.said(txid)).toEqual(['VOTE yes', 'ACK']);
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ state: 'committed', payload: { amount: 1 } });
  });

  it('does not outlive the process, nor the loss of the partition', async () => {
    const world = await started();
    const [first, second] = [world.txid(), world.txid()];
    await world.deliver([prepare(first), prepare(second)]);
    await world.driver.assigned([]);
    await world.driver.assigned([0, 1, 2, 3]);
    await world.deliver([commit(first)]);
    expect(world.store.lookUps).toBe(1);
    await world.restart();
    await world.deliver([commit(second)]);
    expect(world.store.lookUps).toBe(2);
    await world.clock.advance(100);
    expect(world.said(second)).toEqual(['ACK']);
  });

  it('is nothing for a transaction that others may have seen: it began before the partition was gained', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    expect(world.store.lookUps).toBe(1);
  });

  it('is nothing for a branch that was decided here before its PREPARE', async () => {
    const world = await started();
    const txid = world.txid();
    await world.deliver([abort(txid)]);
    await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE no ABORTED_BEFORE_PREPARE']);
    expect(world.runner.calls).toEqual([]);
  });

  it('is a guess: an ABORT that another process has recorded stands before the PREPARE', async () => {
    const world = await started();
    const rival = await world.rival();
    await world.clock.advance(1);
    const txid = world.txid();
    await world.deliver([abort(txid)], 0, rival);
    await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE no ABORTED_BEFORE_PREPARE']);
    expect(world.store.number('reserved')).toBe(0);
    expect(world.errors).toEqual([]);
  });

  it('is a guess: what another process has committed is not committed again', async () => {
    const world = await started();
    const rival = await world.rival();
    await world.clock.advance(1);
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([commit(txid)], 0, rival);
    const before = [world.store.number('reserved'), world.store.number('booked')];
    await world.deliver([commit(txid)]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['VOTE yes', 'ACK', 'ACK']);
    expect([world.store.number('reserved'), world.store.number('booked')]).toEqual(before);
    expect(world.errors).toEqual([]);
  });

  it('is looked up after all where nothing is written: a handler that fails on what is done already parks nothing', async () => {
    const world = await started();
    const rival = await world.rival();
    await world.clock.advance(1);
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([commit(txid)], 0, rival);
    world.runner.commit = () => { throw new Error('nothing is held'); };
    await world.deliver([commit(txid)]);
    expect(world.driver.parked()).toEqual([]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['VOTE yes', 'ACK', 'ACK']);
  });
});
