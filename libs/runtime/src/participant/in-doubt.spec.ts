import { BRANCH, commit, CONFIG, PEERS, prepare, World } from './testing/world.js';

async function prepared(partition = 0) {
  const world = await World.started();
  const txid = world.txid(partition);
  await world.deliver([prepare(txid)], partition);
  world.transport.sends.length = 0;
  return { world, txid };
}

describe('a branch in doubt', () => {
  it('is in sight with its age', async () => {
    const { world, txid } = await prepared();
    const sinceMs = world.clock.now();
    await world.clock.advance(100);
    expect(world.driver.inDoubt()).toEqual([{ txid, branch: BRANCH, protocol: '2pc', sinceMs, ageMs: 100, blocked: false }]);
  });

  it('asks the coordinator, then the peers as well, and says when nobody can tell', async () => {
    const { world, txid } = await prepared();
    await world.clock.advance(CONFIG.inquireAfterMs);
    expect(world.transport.sends).toEqual([[{ to: { role: 'coordinator' }, message: { kind: 'INQUIRY', txid, branch: BRANCH, participant: 'payments' } }]]);
    await world.clock.advance(2 * CONFIG.inquireAfterMs);
    expect(world.said(txid)).toEqual(['INQUIRY', 'INQUIRY', 'PEER_INQUIRY', 'PEER_INQUIRY']);
    expect(world.transport.sends[1]!.slice(1).map(({ to }) => to)).toEqual([{ role: 'participant', name: 'orders' }, { role: 'participant', name: 'inventory' }]);
    expect(world.driver.inDoubt()).toMatchObject([{ blocked: false }]);
    await world.clock.advance(CONFIG.maxInquireIntervalMs);
    expect(world.driver.inDoubt()).toMatchObject([{ blocked: true }]);
    expect(world.driver.stats()).toMatchObject({ inDoubt: 1, blocked: 1 });
  });

  it('obeys a peer that knows', async () => {
    const { world, txid } = await prepared();
    await world.deliver([{ kind: 'PEER_STATE', txid, branch: BRANCH, from: 0, state: 'committed' }]);
    expect(world.store.number('booked')).toBe(1);
    expect(world.driver.inDoubt()).toEqual([]);
  });

  it('asks no more once it is decided', async () => {
    const { world, txid } = await prepared();
    await world.deliver([commit(txid)]);
    await world.clock.advance(60_000);
    expect(world.said(txid)).toEqual(['ACK']);
  });

  it('asks after a restart, as old as its row', async () => {
    const { world, txid } = await prepared();
    await world.clock.advance(3_000);
    await world.restart();
    expect(world.driver.inDoubt()).toMatchObject([{ txid, sinceMs: world.clock.now() - 3_000 }]);
    await world.clock.advance(1_999);
    expect(world.said(txid)).toEqual([]);
    await world.clock.advance(1);
    expect(world.said(txid)).toEqual(['INQUIRY']);
  });

  it('is looked for in pages, however often the database fails meanwhile', async () => {
    const world = await World.started({ recoveryPage: 2 });
    const txids = Array.from({ length: 5 }, () => world.txid());
    await world.deliver(txids.map((txid) => prepare(txid)));
    world.store.failAt('load-undecided');
    world.store.failAt('load-undecided');
    await world.restart();
    await world.clock.advance(100);
    expect(world.driver.inDoubt().map(({ txid }) => txid).sort()).toEqual([...txids].sort());
  });

  it('is waited for by the owner of its partition only', async () => {
    const { world, txid } = await prepared(2);
    await world.restart([0, 1, 3]);
    expect(world.driver.inDoubt()).toEqual([]);
    await world.driver.assigned([2]);
    await world.clock.advance(CONFIG.inquireAfterMs);
    expect(world.said(txid)).toEqual(['INQUIRY']);
    await world.driver.assigned([0, 1, 3]);
    expect(world.driver.inDoubt()).toEqual([]);
    await world.clock.advance(600_000);
    expect(world.said(txid)).toEqual(['INQUIRY']);
  });

  it('is waited for when another instance wrote its row and lost the partition', async () => {
    const { world, txid } = await prepared();
    const row = world.store.row({ txid, branch: BRANCH })!;
    await world.restart();
    const orphan = { ...row, txid: world.txid() };
    world.store.put(orphan);
    await world.clock.advance(60_000);
    expect(world.driver.inDoubt()).toContainEqual(expect.objectContaining({ txid: orphan.txid }));
    const repeated = { ...row, txid: world.txid() };
    world.store.put(repeated);
    await world.deliver([prepare(repeated.txid)]);
    expect(world.driver.inDoubt()).toContainEqual(expect.objectContaining({ txid: repeated.txid }));
  });

  it('answers a peer: uncertain itself, aborted when it had not voted', async () => {
    const { world, txid } = await prepared();
    const unvoted = world.txid();
    const ask = (of: typeof txid) => ({ kind: 'PEER_INQUIRY', txid: of, branch: BRANCH, from: 0, peers: PEERS }) as const;
    await world.deliver([ask(txid), ask(unvoted)]);
    expect([world.said(txid), world.said(unvoted)]).toEqual([['PEER_STATE uncertain'], ['PEER_STATE aborted']]);
    await world.deliver([prepare(unvoted)]);
    expect(world.said(unvoted)).toEqual(['PEER_STATE aborted', 'VOTE no PEER_TERMINATION']);
  });
});
