import { describe, expect, it } from '@jest/globals';
import { makeTxid, type Txid } from '#libs/protocol';
import type { OutcomeEvent, TransactionView } from '#libs/runtime';
import type { EventHub } from './event-hub.js';
import { RemoteEvents } from './remote-events.js';

const txid = (n: number): Txid => makeTxid(0, 1_700_000_000_000, new Uint8Array([0, 0, 0, 0, n >> 24, n >> 16, n >> 8, n]));

/** A database with transactions decided by others, and a hub that records. */
function world(size = 1) {
  const decided: OutcomeEvent[] = [];
  const finished = new Map<Txid, number>();
  const told = new Set<string>();
  const reads = { decided: 0 };
  const hub = {
    size,
    hasTold: (event: string, id: Txid) => told.has(`${event} ${id}`),
    publish: (event: string, view: TransactionView) => { told.add(`${event} ${view.txid}`); },
  };
  const reader = {
    decidedSince: async (cursor: { atMs: number; txid?: Txid }, limit: number) => {
      reads.decided++;
      const after = decided.filter((e) => e.decidedAtMs > cursor.atMs || (e.decidedAtMs === cursor.atMs && (cursor.txid === undefined || e.txid > cursor.txid)));
      return after.sort((a, b) => a.decidedAtMs - b.decidedAtMs || (a.txid < b.txid ? -1 : 1)).slice(0, limit);
    },
    read: async (ids: readonly Txid[]) => new Map(ids.map((id) => [id, { txid: id, finishedAtMs: finished.get(id) ?? null } as TransactionView])),
  };
  const remote = new RemoteEvents(hub as unknown as EventHub, reader, (error) => { throw error; });
  const decide = (n: number, atMs = Date.now()): void => { decided.push({ txid: txid(n), protocol: '2pc', status: 'committed', reason: null, decidedAtMs: atMs }); };
  return { decide, finished, told, reads, hub, remote };
}

describe('events of other instances', () => {
  it('are told once, decision and end', async () => {
    const { decide, finished, told, remote } = world();
    decide(1);
    await remote.poll();
    await remote.poll();
    expect([...told]).toEqual([`decided ${txid(1)}`]);
    finished.set(txid(1), 1);
    await remote.poll();
    expect([...told]).toEqual([`decided ${txid(1)}`, `finished ${txid(1)}`]);
  });

  it('that become visible late are told too', async () => {
    const { decide, told, remote } = world();
    const now = Date.now();
    await remote.poll();
    decide(1, now + 10);
    await remote.poll();
    decide(2, now + 5);
    await remote.poll();
    expect([...told]).toEqual([`decided ${txid(1)}`, `decided ${txid(2)}`]);
  });

  it('are all told when there are more than one reading holds', async () => {
    const { decide, told, remote } = world();
    for (let n = 1; n <= 12_000; n++) decide(n, Date.now() + Math.floor(n / 100));
    for (let i = 0; i < 3; i++) await remote.poll();
    expect(told.size).toBe(12_000);
  });

  it('are not asked for while nobody listens', async () => {
    const { decide, told, reads, hub, remote } = world(0);
    decide(1, Date.now() - 60_000);
    await remote.poll();
    expect(reads.decided).toBe(0);
    hub.size = 1;
    await remote.poll();
    expect([reads.decided, told.size]).toEqual([1, 0]);
  });
});
