import type { InstanceValue, Message, Phase2a, Txid } from '#libs/protocol';
import { turns } from './testing/fake-clock.js';
import { Sites } from './testing/sites.js';
import { BRANCH, PEERS, World } from './testing/world.js';

const NAMES = ['orders', 'payments', 'inventory'];
const BALLOT_ZERO = { n: 0, leader: 0 };
const PREPARED = ['prepared', 'prepared', 'prepared'];

function prepare(txid: Txid, branch = BRANCH, acceptors: readonly string[] = NAMES): Message {
  return { protocol: 'paxos-commit', kind: 'PREPARE', txid, branch, operation: 'debit', payload: { amount: 1 }, peers: PEERS, acceptors };
}

function vote(txid: Txid, branch: number, value: InstanceValue = 'prepared'): Phase2a {
  const values = PEERS.map((_, i) => (i === branch ? value : null));
  return { protocol: 'paxos-commit', kind: 'PHASE_2A', txid, ballot: BALLOT_ZERO, peers: PEERS, values, leader: { role: 'coordinator' } };
}

function commit(txid: Txid, branch = BRANCH): Message {
  return { protocol: 'paxos-commit', kind: 'COMMIT', txid, branch };
}

async function started(options = {}) {
  const world = await World.started(options);
  return { world, txid: world.txid() };
}

describe('a branch of paxos-commit', () => {
  it('sends its yes to the acceptors elsewhere, and its own acceptor has it already', async () => {
    const { world, txid } = await started();
    const batch = await world.deliver([prepare(txid)]);
    expect(world.transport.sends.flat()).toMatchObject([{ to: { role: 'acceptor', name: 'orders' }, message: { kind: 'PHASE_2A' } }]);
    expect(batch.isDone).toBe(true);
    await world.deliver([vote(txid, 0), vote(txid, 2)]);
    expect(world.said(txid).at(-1)).toBe('PHASE_2B 0.0 prepared prepared prepared');
  });

  it('needs one database transaction for its row and its acceptor\'s, if the other votes are there', async () => {
    const { world, txid } = await started();
    await world.deliver([vote(txid, 0), vote(txid, 2)]);
    await world.deliver([prepare(txid)]);
    expect(world.store.flushes).toEqual([{ keys: 1, rows: 0 }, { keys: 2, rows: 2 }]);
    expect(world.said(txid)).toEqual(['PHASE_2A 0.0 - prepared -', 'PHASE_2B 0.0 prepared prepared prepared']);
  });

  it('tells nothing of either before both are durable', async () => {
    const { world, txid } = await started();
    await world.deliver([vote(txid, 0), vote(txid, 2)]);
    world.store.failAt('flush');
    await world.deliver([prepare(txid)]);
    expect([world.said(txid), world.store.acceptorRow(txid)]).toEqual([[], null]);
    await world.clock.advance(100);
    expect(world.said(txid)).toHaveLength(2);
    expect(world.store.acceptorRow(txid)?.accepted.map((each) => each?.value)).toEqual(PREPARED);
  });

  it('loads nothing but its own row where the site has no part in its acceptors', async () => {
    const { world, txid } = await started();
    await world.deliver([prepare(txid, BRANCH, ['a', 'b', 'c'])]);
    expect(world.store.flushes).toEqual([{ keys: 1, rows: 1 }]);
  });

  it('commits when it is told so, whoever leads, and acknowledges', async () => {
    const { world, txid } = await started();
    await world.deliver([prepare(txid)]);
    await world.deliver([commit(txid)]);
    await world.clock.advance(5);
    expect(world.said(txid).at(-1)).toBe('ACK');
    expect(world.store.number('booked')).toBe(1);
    expect(world.driver.inDoubt()).toEqual([]);
  });

  it('answers a repeated prepare from the row after a crash between flush and send', async () => {
    const { world, txid } = await started();
    world.transport.isReachable = false;
    const lost = await world.deliver([prepare(txid)]);
    await world.restart();
    world.transport.isReachable = true;
    expect(lost.isDone).toBe(false);
    const again = await world.deliver([prepare(txid)]);
    expect(again.isDone).toBe(true);
    expect(world.said(txid)).toEqual(['PHASE_2A 0.0 - prepared -', 'PHASE_2A 0.0 - prepared -']);
    expect(world.runner.calls).toHaveLength(1);
  });

  it('lets its delivery count as done only when its own acceptor has dealt with the vote too', async () => {
    const { world, txid } = await started();
    // Not among the first F+1: it gets the vote when that is repeated to all, in a transaction of its own, which fails for a while.
    const acceptors = ['orders', 'inventory', 'payments'];
    await world.deliver([prepare(txid, BRANCH, acceptors)]);
    const transact = world.store.transact.bind(world.store);
    let transactions = 0;
    world.store.transact = async (work) => {
      if (++transactions === 2) world.store.failAt('load');
      return transact(work);
    };
    const again = await world.deliver([prepare(txid, BRANCH, acceptors)]);
    expect([transactions, again.isDone]).toEqual([2, false]);
    await world.clock.advance(100);
    expect(again.isDone).toBe(true);
    expect(world.driver.stats().remembered).toBe(1);
  });

  it('goes to its new owner through Kafka when the partition is lost meanwhile', async () => {
    const { world, txid } = await started();
    const acceptors = ['orders', 'inventory', 'payments'];
    await world.deliver([prepare(txid, BRANCH, acceptors)]);
    world.transport.sends.length = 0;
    const runAll = world.store.transact.bind(world.store);
    world.store.transact = async (work) => {
      await world.driver.assigned([1, 2, 3]);
      return runAll(work);
    };
    await world.deliver([prepare(txid, BRANCH, acceptors)]);
    expect(world.transport.sends.flat().map(({ to }) => to)).toContainEqual({ role: 'acceptor', name: 'payments' });
  });

  it('parks a decision whose handler fails', async () => {
    const { world, txid } = await started();
    await world.deliver([prepare(txid)]);
    world.runner.commit = () => {
      throw new Error('ledger is closed');
    };
    await world.deliver([commit(txid)]);
    expect(world.driver.parked()).toMatchObject([{ txid, branch: BRANCH, action: 'commit', error: 'ledger is closed' }]);
  });
});

describe('the votes that wait beside an acceptor\'s row', () => {
  it('are as before the attempt when the database rolls the transaction back', async () => {
    const { world, txid } = await started();
    world.store.failAt('flush');
    await world.deliver([vote(txid, 0)]);
    expect(world.driver.stats().remembered).toBe(0);
    await world.clock.advance(100);
    expect(world.driver.stats().remembered).toBe(1);
    await world.deliver([vote(txid, 1), vote(txid, 2)]);
    expect(world.said(txid)).toEqual(['PHASE_2B 0.0 prepared prepared prepared']);
  });

  it('never win over a row that another process wrote meanwhile', async () => {
    const { world, txid } = await started();
    await world.deliver([vote(txid, 0), vote(txid, 1)]);
    const rival = await world.rival();
    await world.deliver([{ protocol: 'paxos-commit', kind: 'PHASE_1A', txid, ballot: { n: 1, leader: 7 }, peers: PEERS, leader: { role: 'coordinator' } }], 0, rival);
    await world.deliver([vote(txid, 2)]);
    expect(world.store.acceptorRow(txid)).toMatchObject({ promised: { n: 1, leader: 7 }, accepted: [null, null, null] });
    expect(world.said(txid)).toEqual(['PHASE_1B 1.7 - - -']);
    expect(world.driver.stats().remembered).toBe(0);
  });

  it('are forgotten with their partition, and do not pile up for transactions that never complete', async () => {
    const { world } = await started({ memoryKeptMs: 60_000 });
    await world.deliver(Array.from({ length: 10 }, () => vote(world.txid(), 0)));
    expect(world.driver.stats().remembered).toBe(10);
    await world.clock.advance(60_000);
    await world.deliver([vote(world.txid(), 0)]);
    expect(world.driver.stats().remembered).toBe(1);
    await world.driver.assigned([1]);
    expect(world.driver.stats().remembered).toBe(0);
  });

  it('are bounded in number, the oldest going first', async () => {
    const { world } = await started({ maxMemories: 3 });
    const txids = Array.from({ length: 5 }, () => world.txid());
    await world.deliver(txids.map((txid) => vote(txid, 0)));
    expect(world.driver.stats().remembered).toBe(3);
    await world.deliver([vote(txids[4]!, 1), vote(txids[4]!, 2), vote(txids[0]!, 1), vote(txids[0]!, 2)]);
    expect([world.said(txids[4]!), world.said(txids[0]!)]).toEqual([['PHASE_2B 0.0 prepared prepared prepared'], []]);
  });

  it('are forgotten when the site\'s own branch hears the abort', async () => {
    const { world, txid } = await started();
    await world.deliver([prepare(txid)]);
    expect(world.driver.stats().remembered).toBe(1);
    await world.deliver([{ protocol: 'paxos-commit', kind: 'ABORT', txid, branch: BRANCH, reason: { code: 'CANCELLED' } }]);
    expect(world.driver.stats().remembered).toBe(0);
  });
});

describe('a site that hosts an acceptor and nothing else', () => {
  it('takes votes without a handler runner', async () => {
    const { world, txid } = await started({ handlers: 'none', config: { name: 'witness' } });
    await world.deliver([vote(txid, 0), vote(txid, 1), vote(txid, 2)]);
    expect(world.said(txid)).toEqual(['PHASE_2B 0.0 prepared prepared prepared']);
    expect(world.errors).toEqual([]);
  });

  it('refuses work for a branch, and says why', async () => {
    const { world, txid } = await started({ handlers: 'none' });
    await world.deliver([prepare(txid)]);
    expect(world.transport.messages).toMatchObject([{ kind: 'VOTE', vote: 'no', reason: { detail: 'payments runs no handlers, so it cannot prepare debit' } }]);
  });

  it('has no leader: it has no branch', async () => {
    const { world, txid } = await started({ handlers: 'none', config: { name: 'witness' } });
    await world.deliver([{ protocol: 'paxos-commit', kind: 'LEAD', txid, peers: PEERS, acceptors: NAMES }]);
    expect(world.errors).toMatchObject([{ context: { activity: 'step', message: { kind: 'LEAD' } } }]);
    expect(world.store.leaderRow(txid)).toBeNull();
  });
});

describe('three sites of paxos-commit', () => {
  async function sitesWith(down: readonly string[] = []) {
    const sites = await Sites.started(NAMES);
    const txid = sites.txid();
    for (const name of down) sites.down.add(name);
    for (const [branch, name] of NAMES.entries()) await sites.send(name, prepare(txid, branch));
    return { sites, txid };
  }

  it('send over the wire what the paper counts: each vote to the other of the F+1 acceptors, one 2b from each', async () => {
    const { sites } = await sitesWith();
    expect(sites.wire.filter((line) => !line.startsWith('coordinator')).sort()).toEqual([
      'inventory -> orders: PHASE_2A 0.0 - - prepared', 'inventory -> payments: PHASE_2A 0.0 - - prepared',
      'orders -> coordinator: PHASE_2B 0.0 prepared prepared prepared', 'orders -> payments: PHASE_2A 0.0 prepared - -',
      'payments -> coordinator: PHASE_2B 0.0 prepared prepared prepared', 'payments -> orders: PHASE_2A 0.0 - prepared -',
    ]);
  });

  it('commit by themselves within seconds when the coordinator is gone for good', async () => {
    const { sites, txid } = await sitesWith();
    await sites.clock.advance(2_900);
    expect(sites.states(txid)).toEqual(PREPARED);
    await sites.clock.advance(1_000);
    expect(sites.states(txid)).toEqual(['committed', 'committed', 'committed']);
    expect(NAMES.map((name) => sites.site(name).store.number('booked'))).toEqual([1, 1, 1]);
    expect(NAMES.flatMap((name) => sites.site(name).errors)).toEqual([]);
  });

  it('never put LEAD on the wire', async () => {
    const { sites, txid } = await sitesWith();
    await sites.clock.advance(20_000);
    expect(sites.site('orders').store.leaderRow(txid)).toMatchObject({ ballot: { n: 1, leader: 1 } });
    expect(sites.wire.filter((line) => line.includes('LEAD'))).toEqual([]);
  });

  it('abort by themselves when a vote is missing, with one acceptor gone', async () => {
    const { sites, txid } = await sitesWith(['inventory']);
    await sites.clock.advance(6_000);
    expect(sites.states(txid)).toEqual(['aborted', 'aborted', null]);
    await sites.comeBack('inventory');
    await sites.clock.advance(60_000);
    expect(sites.states(txid)).toEqual(['aborted', 'aborted', 'aborted']);
    expect(NAMES.map((name) => sites.site(name).store.number('reserved'))).toEqual([0, 0, 0]);
  });

  it('are blocked in sight without a majority of acceptors, and end when it is back', async () => {
    const { sites, txid } = await sitesWith(['payments', 'inventory']);
    await sites.clock.advance(20_000);
    expect(sites.site('orders').driver.inDoubt()).toMatchObject([{ txid, protocol: 'paxos-commit', blocked: true }]);
    await sites.comeBack('payments');
    await sites.comeBack('inventory');
    await sites.clock.advance(120_000);
    expect(new Set(sites.states(txid))).toEqual(new Set(['aborted']));
  });

  it('end although the leader crashes in the middle of its ballot: it comes back with a greater one', async () => {
    const { sites, txid } = await sitesWith();
    sites.down.add('payments');
    sites.down.add('inventory');
    await sites.clock.advance(3_200);
    expect(sites.site('orders').store.leaderRow(txid)?.ballot).toEqual({ n: 1, leader: 1 });
    await sites.restart('orders');
    await sites.clock.advance(10_000);
    expect(sites.site('orders').store.leaderRow(txid)!.ballot.n).toBeGreaterThan(1);
    await sites.comeBack('payments');
    await sites.comeBack('inventory');
    await sites.clock.advance(60_000);
    expect(sites.states(txid)).toEqual(['committed', 'committed', 'committed']);
  });
});

describe('a leader on a participant\'s site', () => {
  const lead = (txid: Txid): Message => ({ protocol: 'paxos-commit', kind: 'LEAD', txid, peers: PEERS, acceptors: NAMES });
  const promise = (txid: Txid, acceptor: string, n: number): Message => (
    { protocol: 'paxos-commit', kind: 'PHASE_1B', txid, acceptor, ballot: { n, leader: 2 }, accepted: [null, null, null] }
  );

  it('repeats itself, and rests when nobody answers', async () => {
    const { world, txid } = await started();
    await world.deliver([lead(txid)]);
    expect(world.store.leaderRow(txid)).toMatchObject({ ballot: { n: 1, leader: 2 } });
    await world.clock.advance(60_000);
    const asked = world.said(txid).filter((line) => line === 'PHASE_1A 1.2').length;
    expect(asked).toBe(2 * 7);
    expect(world.driver.stats().remembered).toBe(0);
    expect(world.clock.pending).toBe(1);
  });

  it('is as before the attempt when the database rolls its ballot back', async () => {
    const { world, txid } = await started();
    world.store.failAt('flush');
    await world.deliver([lead(txid)]);
    expect([world.said(txid), world.store.leaderRow(txid), world.driver.stats().remembered]).toEqual([[], null, 0]);
    await world.clock.advance(50);
    expect(world.said(txid)).toEqual(['PHASE_1A 1.2', 'PHASE_1A 1.2']);
  });

  it('drops its ballot once another process of its site has led a greater one', async () => {
    const { world, txid } = await started();
    await world.deliver([lead(txid)]);
    const rival = await world.rival();
    await world.deliver([lead(txid)], 0, rival);
    expect(world.store.leaderRow(txid)).toMatchObject({ ballot: { n: 2, leader: 2 } });
    world.transport.sends.length = 0;
    await world.deliver([promise(txid, 'orders', 1), promise(txid, 'inventory', 1)]);
    expect(world.said(txid)).toEqual([]);
    await world.deliver([promise(txid, 'orders', 2)], 0, rival);
    await turns();
    expect(world.said(txid)).toContain('PHASE_2A 2.2 aborted aborted aborted');
    expect(world.errors).toEqual([]);
  });
});
