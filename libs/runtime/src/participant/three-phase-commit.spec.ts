import type { Message, ThreePhaseMessage, Txid } from '#libs/protocol';
import { turns } from './testing/fake-clock.js';
import { Sites } from './testing/sites.js';
import { BRANCH, PEERS, World } from './testing/world.js';

const COORDINATOR = PEERS.length;
const NAMES = ['orders', 'payments', 'inventory'];

function about(txid: Txid, to = BRANCH) {
  return { protocol: '3pc', txid, from: COORDINATOR, to } as const;
}

function prepare(txid: Txid, to = BRANCH): ThreePhaseMessage {
  return { ...about(txid, to), kind: 'PREPARE', operation: 'debit', payload: { amount: 1 }, peers: PEERS };
}

function preCommit(txid: Txid, to = BRANCH): ThreePhaseMessage {
  return { ...about(txid, to), kind: 'PRE_COMMIT', election: { n: 1, site: COORDINATOR }, peers: PEERS };
}

function commit(txid: Txid, to = BRANCH): ThreePhaseMessage {
  return { ...about(txid, to), kind: 'COMMIT', ack: true };
}

async function prepared() {
  const world = await World.started();
  const txid = world.txid();
  await world.deliver([prepare(txid)]);
  world.transport.sends.length = 0;
  const state = () => world.store.row({ txid, branch: BRANCH })?.state;
  return { world, txid, state };
}

describe('a branch of 3pc', () => {
  it('votes, follows the attempt and commits, each with a durable row first', async () => {
    const world = await World.started();
    const txid = world.txid();
    const told: unknown[] = [];
    world.transport.onSend = (envelopes) => told.push([envelopes[0]!.message.kind, world.store.row({ txid, branch: BRANCH })?.state]);
    await world.deliver([prepare(txid)]);
    await world.deliver([preCommit(txid)]);
    await world.deliver([commit(txid)]);
    await world.clock.advance(5);
    expect(told).toEqual([['VOTE', 'prepared'], ['PRE_ACK', 'pre-committed'], ['ACK', 'committed']]);
    expect(world.runner.calls.map(({ action }) => action)).toEqual(['prepare', 'commit']);
    expect(world.driver.inDoubt()).toEqual([]);
  });

  it('needs no look at its row for any of it, as long as nobody else has written it', async () => {
    const world = await World.started();
    await world.clock.advance(1);
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([preCommit(txid)]);
    await world.deliver([commit(txid)]);
    expect(world.store.lookUps).toBe(0);
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ state: 'committed', lastAttempt: { n: 1, site: COORDINATOR } });
  });

  it('keeps a promise that another process has made for it, although that left its state as it was', async () => {
    const world = await World.started();
    const rival = await world.rival();
    await world.clock.advance(1);
    const txid = world.txid();
    await world.deliver([prepare(txid)]);
    await world.deliver([{ ...about(txid), from: 2, kind: 'STATE_REQUEST', election: { n: 2, site: 2 }, peers: PEERS }], 0, rival);
    await world.deliver([preCommit(txid)]);
    await world.clock.advance(100);
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ state: 'prepared', lastElected: { n: 2, site: 2 }, lastAttempt: { n: 0 } });
    expect(world.said(txid)).toEqual(expect.arrayContaining([expect.stringContaining('REFUSED')]));
    expect(world.errors).toEqual([]);
  });

  it('refuses when its handler throws', async () => {
    const world = await World.started();
    const txid = world.txid();
    world.runner.prepare = () => {
      throw new Error('no such account');
    };
    await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['VOTE no HANDLER_FAILED']);
  });

  it('answers from its row what it had recorded before a crash and not told', async () => {
    const { world, txid } = await prepared();
    world.transport.isReachable = false;
    await world.deliver([preCommit(txid)]);
    await world.restart();
    world.transport.isReachable = true;
    await world.deliver([preCommit(txid)]);
    await world.deliver([prepare(txid)]);
    expect(world.said(txid)).toEqual(['PRE_ACK pre-committed', 'VOTE yes']);
    expect(world.runner.calls).toHaveLength(1);
  });

  it('shows as in doubt, and as blocked when an election found no majority', async () => {
    const { world, txid } = await prepared();
    await world.clock.advance(2_250);
    expect(world.said(txid)).toEqual(['STATE_REQUEST', 'STATE_REQUEST', 'STATE_REQUEST']);
    expect(world.driver.inDoubt()).toMatchObject([{ txid, protocol: '3pc', ageMs: 2_250, blocked: false }]);
    await world.clock.advance(4_250);
    expect(world.driver.inDoubt()).toMatchObject([{ blocked: true }]);
  });

  it('stands for election after a restart, as old as its row', async () => {
    const { world, txid } = await prepared();
    await world.clock.advance(1_000);
    await world.restart();
    await world.clock.advance(1_249);
    expect(world.said(txid)).toEqual([]);
    await world.clock.advance(1);
    expect(world.said(txid)).toContain('STATE_REQUEST');
  });

  it('does not wait longer because somebody sets the clock back', async () => {
    const { world, txid } = await prepared();
    await world.clock.advance(1_000);
    world.clock.setWall(-3_600_000);
    await world.clock.advance(1_250);
    expect(world.said(txid)).toContain('STATE_REQUEST');
    expect(world.driver.inDoubt()).toMatchObject([{ ageMs: 2_250 }]);
  });

  it('parks a decision whose handler fails and applies it later', async () => {
    const { world, txid, state } = await prepared();
    const apply = world.runner.commit;
    world.runner.commit = () => {
      throw new Error('ledger is closed');
    };
    await world.deliver([commit(txid)]);
    expect(world.driver.parked()).toMatchObject([{ txid, action: 'commit', error: 'ledger is closed' }]);
    expect(state()).toBe('prepared');
    world.runner.commit = apply;
    await world.clock.advance(205);
    expect(state()).toBe('committed');
    expect(world.said(txid)).toEqual(['ACK']);
    expect(world.driver.parked()).toEqual([]);
  });
});

describe('a round of 3pc, which is in memory beside the row', () => {
  async function asking() {
    const { world, txid, state } = await prepared();
    await world.clock.advance(2_250);
    const election = { n: 2, site: BRANCH };
    const reply = (from: number): Message => ({ protocol: '3pc', kind: 'STATE_REPLY', txid, from, to: BRANCH, election, state: 'pre-committed', lastAttempt: { n: 1, site: COORDINATOR } });
    return { world, txid, state, reply };
  }

  it('goes on from one database transaction to the next', async () => {
    const { world, state, reply } = await asking();
    await world.deliver([reply(0)]);
    await world.deliver([reply(2)]);
    expect(state()).toBe('pre-committed');
  });

  it('is as before the attempt when the database rolls the transaction back', async () => {
    const { world, state, reply } = await asking();
    for (const point of ['save', 'flush', 'load'] as const) world.store.failAt(point);
    await world.deliver([reply(0), reply(2)]);
    expect(state()).toBe('prepared');
    await world.clock.advance(100);
    expect(state()).toBe('pre-committed');
    expect(world.driver.stats().skipped).toBe(0);
  });

  it('does not count once another process has moved the row on', async () => {
    const { world, txid, state, reply } = await asking();
    await world.deliver([reply(0)]);
    const rival = await world.rival();
    await world.deliver([{ protocol: '3pc', kind: 'STATE_REQUEST', txid, from: 2, to: BRANCH, election: { n: 3, site: 2 }, peers: PEERS }], 0, rival);
    await world.deliver([reply(2)]);
    expect(state()).toBe('prepared');
    expect(world.store.row({ txid, branch: BRANCH })).toMatchObject({ lastElected: { n: 3, site: 2 } });
    expect(world.driver.stats().remembered).toBe(0);
  });

  it('is forgotten with its partition', async () => {
    const { world } = await asking();
    expect(world.driver.stats().remembered).toBe(1);
    await world.driver.assigned([1, 2, 3]);
    expect(world.driver.stats()).toMatchObject({ remembered: 0, inDoubt: 0 });
  });

  it('is applied later, with what its majority decided, when the handler fails at the last acknowledgement', async () => {
    const { world, txid, state, reply } = await asking();
    await world.deliver([reply(0), reply(2)]);
    const apply = world.runner.commit;
    world.runner.commit = () => {
      throw new Error('ledger is closed');
    };
    const ack = (from: number): Message => ({ protocol: '3pc', kind: 'PRE_ACK', txid, from, to: BRANCH, election: { n: 2, site: BRANCH }, state: 'pre-committed' });
    await world.deliver([ack(0), ack(2)]);
    expect(world.driver.parked()).toMatchObject([{ txid, action: 'commit' }]);
    await world.deliver([{ protocol: '3pc', kind: 'STATE_REQUEST', txid, from: 0, to: BRANCH, election: { n: 3, site: 0 }, peers: PEERS }]);
    world.runner.commit = apply;
    await world.clock.advance(200);
    expect(state()).toBe('committed');
    expect(world.driver.parked()).toEqual([]);
  });
});

describe('three sites of 3pc whose coordinator is gone for good', () => {
  async function voted() {
    const sites = await Sites.started(NAMES);
    const txid = sites.txid();
    for (const [branch, name] of NAMES.entries()) await sites.send(name, prepare(txid, branch));
    return { sites, txid };
  }

  it('abort by themselves when nobody has been told to pre-commit', async () => {
    const { sites, txid } = await voted();
    expect(sites.states(txid)).toEqual(['prepared', 'prepared', 'prepared']);
    await sites.clock.advance(2_100);
    expect(sites.states(txid)).toEqual(['aborted', 'aborted', 'aborted']);
    expect(NAMES.map((name) => sites.site(name).store.number('reserved'))).toEqual([0, 0, 0]);
  });

  it('commit by themselves when one of them had pre-committed and all are there', async () => {
    const { sites, txid } = await voted();
    await sites.send('inventory', preCommit(txid, 2));
    await sites.clock.advance(2_600);
    expect(sites.states(txid)).toEqual(['committed', 'committed', 'committed']);
    expect(NAMES.map((name) => sites.site(name).store.number('booked'))).toEqual([1, 1, 1]);
    expect(NAMES.flatMap((name) => sites.site(name).driver.inDoubt())).toEqual([]);
    expect(NAMES.flatMap((name) => sites.site(name).errors)).toEqual([]);
  });

  it('wait in sight without a majority, and end once a third site is back', async () => {
    const { sites, txid } = await voted();
    sites.down.add('inventory');
    await sites.clock.advance(20_000);
    expect(sites.states(txid).slice(0, 2)).toEqual(['prepared', 'prepared']);
    expect(sites.site('orders').driver.inDoubt()).toMatchObject([{ protocol: '3pc', blocked: true }]);
    await sites.comeBack('inventory');
    await sites.clock.advance(60_000);
    expect(sites.states(txid)).toEqual(['aborted', 'aborted', 'aborted']);
  });

  it('end although the site that resolves crashes in the middle of its round', async () => {
    const { sites, txid } = await voted();
    sites.down.add('payments');
    sites.down.add('inventory');
    await sites.clock.advance(2_100);
    await sites.restart('orders');
    await sites.comeBack('payments');
    await sites.comeBack('inventory');
    await turns();
    await sites.clock.advance(5_000);
    expect(sites.states(txid)).toEqual(['aborted', 'aborted', 'aborted']);
  });
});
