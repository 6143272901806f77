import { describe, expect, it } from '@jest/globals';
import { makeTxid, type Txid } from '#libs/protocol';
import type { TimelineEvent, TransactionView } from '#libs/runtime';
import { transactionView } from '../testing/transaction-view.js';
import { RemoteOutcomes } from './remote-outcomes.js';
import { TransactionLookup } from './transaction-lookup.js';

const txid = makeTxid(0, 1_700_000_000_000, new Uint8Array(8));
const view = (over: Partial<TransactionView> = {}): TransactionView => transactionView({ txid, ...over });
const event = (atMs: number, name: string): TimelineEvent => ({ atMs, type: name === 'BEGIN' ? 'record' : 'send', name, from: 'a', to: 'b' });

interface World { memory: TransactionView | null; settled?: () => Promise<TransactionView | null>; own?: TimelineEvent[]; database?: TransactionView; polled?: () => Promise<never>; stored?: TimelineEvent[] }
function lookupIn(world: World): TransactionLookup {
  const memory = { view: () => world.memory, settled: world.settled ?? (async () => world.memory), timeline: () => world.own ?? null };
  const database = async (): Promise<Map<Txid, TransactionView>> => new Map(world.database === undefined ? [] : [[txid, world.database]]);
  return new TransactionLookup(memory, new RemoteOutcomes(database), new RemoteOutcomes(world.polled ?? database), async () => world.stored ?? null);
}

describe('looking a transaction up', () => {
  it('prefers memory to the database', async () => {
    expect((await lookupIn({ memory: view({ status: 'committed' }), database: view() }).find(txid))?.status).toBe('committed');
  });

  it('finds in the database what is not in memory, and nothing nowhere', async () => {
    expect((await lookupIn({ memory: null, database: view({ status: 'aborted', decision: 'ABORT' }) }).wait(txid, 'decided', 1_000))?.status).toBe('aborted');
    expect(await lookupIn({ memory: null }).wait(txid, 'decided', 60_000)).toBeNull();
  });

  it('does not wait for those who wait', async () => {
    // The read of those who wait never ends: whoever joined them would not be answered either.
    let polling!: () => void;
    const polls = new Promise<void>((resolve) => { polling = resolve; });
    const lookup = lookupIn({ memory: null, database: view(), polled: () => { polling(); return new Promise(() => undefined); } });
    const waiting = lookup.wait(txid, 'decided', 60_000);
    await polls;
    for (let i = 0; i < 20; i++) expect((await lookup.find(txid))?.status).toBe('pending');
    lookup.drain();
    expect((await waiting)?.status).toBe('pending');
  });

  it('goes on waiting in the database when the shard moves while it waits', async () => {
    const lookup = lookupIn({ memory: view(), settled: async () => view(), database: view({ status: 'committed', decision: 'COMMIT' }) });
    expect((await lookup.wait(txid, 'decided', 60_000))?.status).toBe('committed');
  });

  it('answers everybody who waits with what is known once it drains, and waits no more', async () => {
    const lookup = lookupIn({ memory: view(), settled: () => new Promise(() => undefined) });
    const waiting = [lookup.wait(txid, 'decided', 60_000), lookup.wait(txid, 'finished', 60_000)];
    lookup.drain();
    expect((await Promise.all(waiting)).map((found) => found?.status)).toEqual(['pending', 'pending']);
    expect((await lookup.wait(txid, 'decided', 60_000))?.status).toBe('pending');
  });
});

describe('the timeline', () => {
  it('of a transaction begun here comes from memory', async () => {
    const own = [event(1, 'BEGIN'), event(2, 'PREPARE')];
    expect(await lookupIn({ memory: view(), own, stored: [event(1, 'BEGIN')] }).timeline(txid)).toEqual(own);
  });

  it('of one that was taken over joins what the earlier owner stored with what happened since, each event once', async () => {
    const timeline = await lookupIn({ memory: view(), own: [event(2, 'DECIDE'), event(4, 'COMMIT')], stored: [event(1, 'BEGIN'), event(2, 'DECIDE'), event(3, 'COMMIT')] }).timeline(txid);
    expect(timeline?.map((e) => [e.atMs, e.name])).toEqual([[1, 'BEGIN'], [2, 'DECIDE'], [3, 'COMMIT'], [4, 'COMMIT']]);
  });

  it('of one that does not exist is null', async () => {
    expect(await lookupIn({ memory: null }).timeline(txid)).toBeNull();
  });
});
