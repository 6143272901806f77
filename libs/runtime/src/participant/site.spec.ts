import type { Message, Txid } from '#libs/protocol';
import { turns } from './testing/fake-clock.js';
import { TransientFault } from './testing/memory-branch-store.js';
import { Sites } from './testing/sites.js';
import { abort, BRANCH, commit, CONFIG, PEERS, prepare, World } from './testing/world.js';

const NAMES = ['orders', 'payments', 'inventory'];

function prepareThreePhase(txid: Txid): Message {
  return { protocol: '3pc', kind: 'PREPARE', txid, from: PEERS.length, to: BRANCH, operation: 'debit', payload: null, peers: PEERS };
}

function preparePaxos(txid: Txid): Message {
  return { protocol: 'paxos-commit', kind: 'PREPARE', txid, branch: BRANCH, operation: 'debit', payload: null, peers: PEERS, acceptors: NAMES };
}

function execute(txid: Txid): Message {
  return { protocol: 'saga', kind: 'EXECUTE', txid, branch: 0, step: 'debit', stepKind: 'pivot', operation: 'debit', payload: null, inputs: {} };
}

describe('one site with all roles of all protocols', () => {
  it('works a mixed delivery off in one database transaction and one call of the handlers', async () => {
    const world = await World.started();
    const [two, three, paxos, saga, votes] = Array.from({ length: 5 }, () => world.txid()) as [Txid, Txid, Txid, Txid, Txid];
    const vote: Message = { protocol: 'paxos-commit', kind: 'PHASE_2A', txid: votes, ballot: { n: 0, leader: 0 }, peers: ['orders'], values: ['prepared'], leader: { role: 'coordinator' } };
    await world.deliver([prepare(two), prepareThreePhase(three), preparePaxos(paxos), execute(saga), vote]);
    expect(world.store.transactions).toBe(1);
    expect(world.store.flushes).toEqual([{ keys: 6, rows: 5 }]);
    expect(world.runner.runs.map((calls) => calls.map(({ action }) => action))).toEqual([['prepare', 'prepare', 'prepare', 'execute']]);
    expect(world.transport.sends).toHaveLength(1);
    expect(world.driver.inDoubt().map(({ protocol }) => protocol)).toEqual(['2pc', '3pc', 'paxos-commit']);
    expect(world.driver.stats()).toMatchObject({ prepared: 3, executed: 1, acceptorRows: 1, remembered: 1 });
  });

  it('finds the undecided branches of all protocols after a restart', async () => {
    const world = await World.started();
    const txids = [world.txid(), world.txid(), world.txid()] as const;
    await world.deliver([prepare(txids[0]), prepareThreePhase(txids[1]), preparePaxos(txids[2]), execute(world.txid())]);
    await world.restart();
    expect(world.driver.inDoubt().map(({ protocol }) => protocol).sort()).toEqual(['2pc', '3pc', 'paxos-commit']);
    await world.clock.advance(5_000);
    expect(txids.map((txid) => world.said(txid).length > 0)).toEqual([true, true, true]);
  });

  it('reports a message of one protocol for a branch of another, and changes nothing', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([prepareThreePhase(txid)]);
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ protocol: '2pc', state: 'prepared' });
    expect(world.errors).toMatchObject([{ context: { activity: 'step', txid, branch: BRANCH }, error: { message: `${txid}/1 is a branch of 2pc, not of 3pc` } }]);
  });

  it('reports what is for a coordinator', async () => {
    const world = await World.started();
    const txid = world.txid();
    const batch = await world.deliver([{ protocol: 'paxos-commit', kind: 'ACK', txid, branch: 0 }, { protocol: '3pc', kind: 'ACK', txid, from: 0, to: 3 }]);
    expect(world.errors).toHaveLength(2);
    expect(batch.isDone).toBe(true);
  });
});

describe('two branches of one transaction at one site', () => {
  it('ask each other without a message on the wire', async () => {
    const world = await World.started();
    const txid = world.txid();
    await world.deliver([{ ...prepare(txid), branch: 0, peers: ['payments', 'payments'] }]);
    await world.clock.advance(3 * CONFIG.inquireAfterMs);
    expect([0, 1].map((branch) => world.store.row({ txid, branch })?.state)).toEqual(['aborted', 'aborted']);
    expect(world.store.number('reserved')).toBe(0);
    expect(world.said(txid)).toEqual(['VOTE yes', 'INQUIRY', 'INQUIRY']);
  });
});

describe('two-phase commit when the coordinator is gone for good at the votes', () => {
  it('waits: everybody shows as in doubt with its age, then as blocked, and holds nothing but its reservation', async () => {
    const sites = await Sites.started(NAMES, { inquireAfterMs: 5_000, maxInquireIntervalMs: 10_000, askPeersAfterInquiries: 1 });
    const txid = sites.txid();
    for (const [branch, name] of NAMES.entries()) await sites.send(name, { ...prepare(txid), branch });
    await sites.clock.advance(60_000);
    expect(sites.states(txid)).toEqual(['prepared', 'prepared', 'prepared']);
    for (const name of NAMES) {
      expect(sites.site(name).driver.inDoubt()).toMatchObject([{ txid, protocol: '2pc', ageMs: 60_000, blocked: true }]);
      expect([sites.site(name).store.number('reserved'), sites.site(name).store.number('booked')]).toEqual([1, 0]);
    }
  });
});

describe('a handler whose statement always times out', () => {
  const isPoison = (poison: Txid) => (txid: Txid) => txid === poison;

  async function withPoison(count: number) {
    const world = await World.started();
    const txids = Array.from({ length: count }, () => world.txid());
    return { world, txids, poison: txids[1]!, isPoisonous: isPoison(txids[1]!) };
  }

  it('is taken to be its branch\'s fault after some attempts: the prepare is refused, its neighbours are prepared', async () => {
    const { world, txids, isPoisonous } = await withPoison(4);
    const work = world.runner.prepare;
    world.runner.prepare = (ledger, call) => {
      if (isPoisonous(call.txid)) throw new TransientFault('canceling statement due to statement timeout');
      return work(ledger, call);
    };
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    await world.clock.advance(10_000);
    expect(batch.isDone).toBe(true);
    expect(txids.map((txid) => world.said(txid)[0])).toEqual(['VOTE yes', 'VOTE no HANDLER_FAILED', 'VOTE yes', 'VOTE yes']);
    expect(world.store.number('reserved')).toBe(3);
  });

  it('parks its branch when it applies a decision, and holds the others up less when it is tried again', async () => {
    const { world, txids, poison, isPoisonous } = await withPoison(3);
    await world.deliver(txids.map((txid) => prepare(txid)));
    const apply = world.runner.commit;
    world.runner.commit = (ledger, call) => {
      if (isPoisonous(call.txid)) throw new TransientFault('canceling statement due to statement timeout');
      return apply(ledger, call);
    };
    await world.deliver(txids.map((txid) => commit(txid)));
    await world.clock.advance(3_000);
    expect(world.driver.parked()).toMatchObject([{ txid: poison, action: 'commit', error: 'canceling statement due to statement timeout' }]);
    expect(world.store.number('booked')).toBe(2);
    const before = world.runner.calls.length;
    const { attempts } = world.driver.parked()[0]!;
    await world.clock.advance(world.driver.parked()[0]!.retryAtMs - world.clock.now() + 100);
    expect(world.driver.parked()[0]!.attempts).toBe(attempts + 1);
    expect(world.runner.calls.length - before).toBe(2);
    world.runner.commit = apply;
    await world.clock.advance(30_000);
    expect(world.store.number('booked')).toBe(3);
  });

  it('is not to blame when it is the database: everything waits, however long', async () => {
    const { world, txids } = await withPoison(2);
    for (let i = 0; i < 60; i++) world.store.failAt(i % 2 === 0 ? 'load' : 'flush');
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    await world.clock.advance(40_000);
    expect(batch.isDone).toBe(false);
    await world.clock.advance(60_000);
    expect(txids.map((txid) => world.said(txid)[0])).toEqual(['VOTE yes', 'VOTE yes']);
  });
});

describe('a defect of the driver itself', () => {
  it('is reported, and what brought it out is run again without a loss', async () => {
    const world = await World.started();
    const txids = [world.txid(), world.txid()];
    let isBroken = true;
    const flushed = world.flushes.push.bind(world.flushes);
    world.flushes.push = (...flush) => {
      if (isBroken) throw new TypeError('cannot read properties of undefined');
      return flushed(...flush);
    };
    const batch = await world.deliver(txids.map((txid) => prepare(txid)));
    expect(batch.isDone).toBe(false);
    expect(world.errors).toMatchObject([{ context: { activity: 'defect', attempt: 0 } }]);
    isBroken = false;
    await world.clock.advance(100);
    expect(batch.isDone).toBe(true);
    expect(txids.map((txid) => world.said(txid))).toEqual([['VOTE yes'], ['VOTE yes']]);
    expect(world.store.number('reserved')).toBe(2);
  });

  it('does not stop the lane: what always fails is put aside, and what comes after it is worked off', async () => {
    const world = await World.started();
    const [bad, good] = [world.txid(), world.txid()];
    const transact = world.driver['settler'].settle.bind(world.driver['settler']);
    world.driver['settler'].settle = async (works) => {
      if (works.some(({ key }) => key.txid === bad)) throw new TypeError('cannot read properties of undefined');
      return transact(works);
    };
    const [neighbour, later] = [world.txid(), world.txid()];
    const lost = world.hand([prepare(neighbour), prepare(bad), prepare(later)]);
    const kept = world.hand([prepare(good)]);
    await turns();
    await world.clock.advance(1_000);
    expect([neighbour, bad, later, good].map((txid) => world.said(txid))).toEqual([['VOTE yes'], [], ['VOTE yes'], ['VOTE yes']]);
    expect([lost.isDone, kept.isDone]).toEqual([true, true]);
    expect(lost.deadLetters.map(({ message }) => message)).toEqual([prepare(bad)]);
    await world.deliver([abort(good)]);
    expect(world.store.row({ txid: good, branch: BRANCH })?.state).toBe('aborted');
  });
});

describe('two processes of one service on one database', () => {
  it('vote once and apply once, whoever gets what', async () => {
    const world = await World.started();
    const rival = await world.rival();
    const txid = world.txid();
    world.hand([prepare(txid)]);
    await world.deliver([prepare(txid)], 0, rival);
    world.hand([commit(txid)]);
    await world.deliver([commit(txid)], 0, rival);
    await world.clock.advance(10);
    expect(world.runner.calls.map(({ action }) => action)).toEqual(['prepare', 'commit']);
    expect(world.said(txid)).toEqual(['VOTE yes', 'VOTE yes', 'ACK', 'ACK']);
    await world.clock.advance(CONFIG.inquireAfterMs);
    expect([world.driver.inDoubt(), rival.inDoubt()]).toEqual([[], []]);
  });
});
