import { turns } from './testing/fake-clock.js';
import { BRANCH, commit, prepare, World } from './testing/world.js';

describe('the life of a participant driver', () => {
  it('joins the inbox of its participant, unless somebody else feeds it', async () => {
    const world = await World.started();
    expect(world.transport.inbox).toEqual({ role: 'participant', name: 'payments' });
    const fed = await World.started({ subscribe: false });
    expect(fed.transport.subscriber).toBeNull();
    const txid = fed.txid();
    await fed.deliver([prepare(txid)]);
    expect(fed.said(txid)).toEqual(['VOTE yes']);
  });

  it('finishes the transaction in flight when it stops, sends what waits for company, and leaves', async () => {
    const world = await World.started();
    const [old, late] = [world.txid(), world.txid()];
    await world.deliver([prepare(old)]);
    const committing = await world.deliver([commit(old)]);
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const runAll = world.runner.run.bind(world.runner);
    world.runner.run = (tx, calls) => gate.then(() => runAll(tx, calls));
    const inFlight = await world.deliver([prepare(late)]);
    const stopped = world.driver.stop();
    await turns();
    expect(world.transport.subscriber).not.toBeNull();
    release();
    await stopped;
    expect(world.said(old)).toEqual(['VOTE yes', 'ACK']);
    expect(world.said(late)).toEqual(['VOTE yes']);
    expect([committing.isDone, inFlight.isDone]).toEqual([true, true]);
    expect(world.transport.subscriber).toBeNull();
    expect(world.clock.pending).toBe(0);
  });

  it('leaves to the next owner what it has not begun', async () => {
    const world = await World.started();
    const batch = world.hand([prepare(world.txid())]);
    await world.driver.stop();
    const after = await world.deliver([prepare(world.txid())]);
    expect([batch.isDone, after.isDone]).toEqual([false, false]);
    expect(world.store.transactions).toBe(0);
  });

  it('stops although the transport waits for its last delivery before it lets it leave', async () => {
    const world = await World.started();
    let lastDelivery = Promise.resolve();
    const subscribe = world.transport.subscribe.bind(world.transport);
    world.transport.subscribe = async (inbox, subscriber) => {
      const subscription = await subscribe(inbox, subscriber);
      return { close: () => lastDelivery.then(() => subscription.close()) };
    };
    await world.restart();
    const stopped = world.driver.stop();
    lastDelivery = world.driver.deliver({ partition: 0, messages: [prepare(world.txid())], done: () => {}, deadLetter: async () => {} });
    await stopped;
    expect(world.transport.subscriber).toBeNull();
  });

  it('stops although the database does not answer, and marks nothing as done', async () => {
    const world = await World.started();
    for (let i = 0; i < 100; i++) world.store.failAt('load');
    const batch = await world.deliver([prepare(world.txid())]);
    await world.driver.stop();
    expect(batch.isDone).toBe(false);
    expect(world.transport.sends).toEqual([]);
  });

  it('stops although the broker is out of reach, and marks nothing as done', async () => {
    const world = await World.started();
    world.transport.isReachable = false;
    const batch = await world.deliver([prepare(world.txid())]);
    let isStopped = false;
    void world.driver.stop().then(() => {
      isStopped = true;
    });
    await world.clock.advance(5_000);
    expect(isStopped).toBe(true);
    expect(batch.isDone).toBe(false);
  });

  it('sends again until the broker takes it, and marks the batch as done only then', async () => {
    const world = await World.started();
    const txid = world.txid();
    world.transport.isReachable = false;
    const batch = await world.deliver([prepare(txid)]);
    await world.clock.advance(1_000);
    expect(batch.isDone).toBe(false);
    world.transport.isReachable = true;
    await world.clock.advance(5_000);
    expect(world.said(txid)).toContain('VOTE yes');
    expect(batch.isDone).toBe(true);
  });

  it('drops what waits of a partition that it has lost', async () => {
    const world = await World.started();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const runAll = world.runner.run.bind(world.runner);
    world.runner.run = (tx, calls) => gate.then(() => runAll(tx, calls));
    await world.deliver([prepare(world.txid(0))], 0);
    const [lost, kept] = [world.hand([prepare(world.txid(1))], 1), world.hand([prepare(world.txid(2))], 2)];
    await world.driver.assigned([0, 2]);
    release();
    await turns();
    expect([lost.isDone, kept.isDone]).toEqual([false, true]);
  });

  it('pushes back while too much waits, and takes more once it has caught up', async () => {
    const world = await World.started({ maxQueued: 2 });
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const runAll = world.runner.run.bind(world.runner);
    world.runner.run = (tx, calls) => gate.then(() => runAll(tx, calls));
    await world.deliver([prepare(world.txid())]);
    let isTaken = false;
    const full = { partition: 0, messages: [prepare(world.txid()), prepare(world.txid())], done: () => {}, deadLetter: async () => {} };
    void world.driver.deliver(full).then(() => {
      isTaken = true;
    });
    await turns();
    expect(isTaken).toBe(false);
    release();
    await turns();
    expect(isTaken).toBe(true);
  });

  it('starts no further transaction while the broker does not take what is owed', async () => {
    const world = await World.started({ maxQueued: 1 });
    world.transport.hold();
    await world.deliver([prepare(world.txid())]);
    const next = world.hand([prepare(world.txid())]);
    await turns();
    expect(world.store.transactions).toBe(1);
    world.transport.acknowledge();
    await turns();
    expect(next.isDone).toBe(true);
  });

  it('has one transaction in flight per lane', async () => {
    const world = await World.started({ lanes: 2 });
    const inFlight = new Set<number>();
    let most = 0;
    const original = world.store.transact.bind(world.store);
    let number = 0;
    world.store.transact = async (work) => {
      const mine = number++;
      inFlight.add(mine);
      most = Math.max(most, inFlight.size);
      try {
        await turns(2);
        return await original(work);
      } finally {
        inFlight.delete(mine);
      }
    };
    const batches = [0, 1, 2, 3].map((partition) => world.hand([prepare(world.txid(partition))], partition));
    await turns();
    expect(batches.every(({ isDone }) => isDone)).toBe(true);
    expect([number, most]).toEqual([2, 2]);
  });

  it('remembers nothing of finished branches', async () => {
    const world = await World.started();
    const txids = Array.from({ length: 50 }, () => world.txid());
    await world.deliver(txids.map((txid) => prepare(txid)));
    expect(world.driver.stats().inDoubt).toBe(50);
    await world.deliver(txids.map((txid) => commit(txid)));
    await world.clock.advance(5);
    expect(world.driver.stats()).toMatchObject({ inDoubt: 0, parked: 0, queued: 0, unsent: 0, prepared: 50, committed: 50 });
    expect(world.store.row({ txid: txids[49]!, branch: BRANCH })?.state).toBe('committed');
  });
});
