import { turns } from './testing/fake-clock.js';
import { TransientFault } from './testing/memory-branch-store.js';
import { abort, BRANCH, commit, prepare, World } from './testing/world.js';

describe('phase one of a participant', () => {
  it('votes yes with what the handler returned, and saves the offset after the vote', async () => {
    const world = await World.started();
    const txid = world.txid();
    world.transport.hold();
    const batch = await world.deliver([prepare(txid)]);
    expect(world.transport.messages).toEqual([{ kind: 'VOTE', txid, branch: BRANCH, vote: 'yes', result: { hold: 'h-1' } }]);
    expect(batch.isDone).toBe(false);
    world.transport.acknowledge();
    await turns();
    expect(batch.isDone).toBe(true);
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ state: 'prepared', operation: 'debit', payload: { amount: 1 } });
  });

  it('sends no yes whose row is not durable', async () => {
    const world = await World.started();
    const txid = world.txid();
    const statesAtSend: (string | undefined)[] = [];
    world.transport.onSend = () => statesAtSend.push(world.store.row({ txid, branch: BRANCH })?.state);
    world.store.failAt('flush');
    await world.deliver([prepare(txid)]);
    expect(world.transport.sends).toEqual([]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['VOTE yes']);
    expect(statesAtSend).toEqual(['prepared']);
  });

  it('forgets a prepare when it crashes at the flush, and does it once when it is delivered again', async () => {
    const world = await World.started();
    const txid = world.txid();
    world.store.failAt('flush');
    const lost = await world.deliver([prepare(txid)]);
    await world.restart();
    expect(lost.isDone).toBe(false);
    expect(world.said(txid)).toEqual([]);
    expect(world.store.number('reserved')).toBe(0);
    const again = await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE yes']);
    expect(again.isDone).toBe(true);
    expect(world.store.number('reserved')).toBe(1);
  });

  it('runs a batch again whose flush may have happened, and then answers from the row', async () => {
    const world = await World.started();
    const txid = world.txid();
    world.store.failAt('flushed');
    await world.deliver([prepare(txid)]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['VOTE yes']);
    expect(world.runner.calls).toHaveLength(1);
    expect(world.store.number('reserved')).toBe(1);
  });

  it('answers a repeated prepare from the row without running the handler', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([prepare(txid), prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE yes', 'VOTE yes', 'VOTE yes']);
    expect(world.runner.calls).toHaveLength(1);
  });

  it('refuses a prepare that its abort has overtaken', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([abort(txid)]);
    await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE no ABORTED_BEFORE_PREPARE']);
    expect(world.runner.calls).toEqual([]);
  });

  it('works off several steps of one branch in the order of their arrival', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([prepare(txid), commit(txid), commit(txid)]);
    expect(world.runner.calls.map(({ action }) => action)).toEqual(['prepare', 'commit']);
    expect(world.said(txid)).toEqual(['VOTE yes', 'ACK', 'ACK']);
    expect(world.store.flushes).toEqual([{ keys: 1, rows: 1 }]);
  });

  it('takes 500 prepares of one delivery through one database transaction and one call of the batch handler', async () => {
    const world = await World.started();
    const txids = Array.from({ length: 500 }, () => world.txid());
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    expect(batch.isDone).toBe(true);
    expect(world.store.transactions).toBe(1);
    expect(world.store.flushes).toEqual([{ keys: 500, rows: 500 }]);
    expect(world.runner.runs.map((calls) => calls.length)).toEqual([500]);
    expect(world.transport.sends.map((envelopes) => envelopes.length)).toEqual([500]);
  });

  it('gathers the deliveries of several partitions into one database transaction', async () => {
    const world = await World.started();
    const batches = [];
    for (const partition of [0, 1, 2]) {
      batches.push(world.hand([prepare(world.txid(partition))], partition));
      for (let i = 0; i < 20; i++) await Promise.resolve();
    }
    await turns();
    expect(batches.every(({ isDone }) => isDone)).toBe(true);
    expect(world.store.flushes).toEqual([{ keys: 3, rows: 3 }]);
  });

  it('hands prepares, commits and aborts of one delivery to the runner together, so that it can put alike calls together', async () => {
    const world = await World.started();
    const [a, b, c, d, e, f] = Array.from({ length: 6 }, () => world.txid());
    await world.deliver([a, b, c, d].map((txid) => prepare(txid!)));
    world.runner.runs.length = 0;
    await world.deliver([commit(a!), prepare(e!), abort(b!), commit(c!), prepare(f!), abort(d!)]);
    expect(world.runner.runs.map((calls) => calls.map(({ action }) => action))).toEqual([['commit', 'prepare', 'abort', 'commit', 'prepare', 'abort']]);
    expect(world.store.flushes).toHaveLength(2);
  });

  it('lets neither a handler that throws on prepare nor its effects touch the neighbours', async () => {
    const world = await World.started();
    const [good, poison, other] = [world.txid(), world.txid(), world.txid()];
    world.runner.prepare = (ledger, { txid }) => {
      ledger.add('reserved', 1);
      if (txid === poison) throw new Error('the account is not a number');
      return { vote: 'yes' };
    };
    await world.deliver([prepare(good), prepare(poison), prepare(other)]);
    expect([good, poison, other].map((txid) => world.said(txid))).toEqual([['VOTE yes'], ['VOTE no HANDLER_FAILED'], ['VOTE yes']]);
    expect(world.transport.messages).toContainEqual(expect.objectContaining({ reason: { code: 'HANDLER_FAILED', detail: 'the account is not a number' } }));
    expect(world.store.number('reserved')).toBe(2);
  });

  it.each(['load', 'save', 'flush'] as const)('repeats the whole transaction after a transient fault at %s', async (point) => {
    const world = await World.started();
    const txids = [world.txid(), world.txid()];
    for (let i = 0; i < 3; i++) world.store.failAt(point);
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    expect(batch.isDone).toBe(false);
    await world.clock.advance(500);
    expect(batch.isDone).toBe(true);
    expect(txids.map((txid) => world.said(txid))).toEqual([['VOTE yes'], ['VOTE yes']]);
    expect(world.store.number('reserved')).toBe(2);
    expect(world.driver.stats()).toMatchObject({ transactions: 1, retries: 3, prepared: 2 });
  });

  it('repeats the whole transaction when a handler reports a transient fault', async () => {
    const world = await World.started();
    const txid = world.txid();
    let attempts = 0;
    world.runner.prepare = () => {
      if (attempts++ === 0) throw new TransientFault('deadlock');
      return { vote: 'yes' };
    };
    await world.deliver([prepare(txid)]);
    await world.clock.advance(100);
    expect(world.said(txid)).toEqual(['VOTE yes']);
  });

  it('finds the branch that makes a whole transaction fail, refuses it, and prepares the others', async () => {
    const world = await World.started();
    const txids = Array.from({ length: 8 }, () => world.txid());
    const runAll = world.runner.run.bind(world.runner);
    world.runner.run = async (tx, calls) => {
      if (calls.some(({ txid }) => txid === txids[5])) throw new Error('numeric field overflow');
      return runAll(tx, calls);
    };
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    expect(batch.isDone).toBe(true);
    expect(txids.map((txid) => world.said(txid)[0])).toEqual(txids.map((_, i) => (i === 5 ? 'VOTE no HANDLER_FAILED' : 'VOTE yes')));
    expect(world.store.number('reserved')).toBe(7);
  });

  it('puts a message into the dead-letter topic that cannot even be refused, and moves on', async () => {
    const world = await World.started();
    const [good, unstorable] = [world.txid(), world.txid()];
    const batch = await world.deliver([prepare(unstorable, 'a\u0000b'), prepare(good)]);
    await world.clock.advance(1_000);
    expect(batch.deadLetters.map(({ message }) => message)).toEqual([prepare(unstorable, 'a\u0000b')]);
    expect(batch.isDone).toBe(true);
    expect(world.said(good)).toEqual(['VOTE yes']);
    expect(world.said(unstorable)).toEqual([]);
  });

  it('reports an input that breaks the protocol and goes on with the others', async () => {
    const world = await World.started();
    const [unknown, good] = [world.txid(), world.txid()];
    const batch = await world.deliver([commit(unknown), { kind: 'ACK', txid: good, branch: 0 }, prepare(good)]);
    expect(world.said(good)).toEqual(['VOTE yes']);
    expect(world.said(unknown)).toEqual([]);
    expect(batch.isDone).toBe(true);
    expect(world.errors.map(({ context }) => [context.activity, context.message?.kind])).toEqual([['step', 'ACK'], ['step', 'COMMIT']]);
  });

  it('commits a one-phase transaction in one database transaction', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([{ kind: 'PREPARE_AND_COMMIT', txid, branch: 0, operation: 'debit', payload: null }]);
    expect(world.said(txid)).toEqual(['ONE_PHASE_OUTCOME committed']);
    expect(world.store.number('booked')).toBe(1);
    expect(world.store.flushes).toHaveLength(1);
    expect(world.driver.inDoubt()).toEqual([]);
  });
});
