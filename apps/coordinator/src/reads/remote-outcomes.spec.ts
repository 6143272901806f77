import { describe, expect, it } from '@jest/globals';
import { makeTxid, type Txid } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';
import { transactionView } from '../testing/transaction-view.js';
import { RemoteOutcomes } from './remote-outcomes.js';

const txid = (n: number): Txid => makeTxid(0, 1_700_000_000_000 + n, new Uint8Array(8));
const view = (id: Txid, status: TransactionView['status'], finishedAtMs: number | null = null): TransactionView =>
  transactionView({ txid: id, status, decision: status === 'pending' ? null : status === 'committed' ? 'COMMIT' : 'ABORT', finishedAtMs });

/** A read side whose content tests change; counts questions. */
function readSide(): { views: Map<Txid, TransactionView>; reads: Txid[][]; fail: Error | null; remote: RemoteOutcomes } {
  const side = { views: new Map<Txid, TransactionView>(), reads: [] as Txid[][], fail: null as Error | null, remote: null as unknown as RemoteOutcomes };
  side.remote = new RemoteOutcomes(async (txids) => {
    side.reads.push([...txids]);
    if (side.fail !== null) throw side.fail;
    return new Map(txids.filter((id) => side.views.has(id)).map((id) => [id, side.views.get(id)!]));
  });
  return side;
}

describe('outcomes of transactions that other instances own', () => {
  it('are waited for until they are decided', async () => {
    const side = readSide();
    side.views.set(txid(1), view(txid(1), 'pending'));
    const waiting = side.remote.wait(txid(1), 'decided', 60_000);
    while (side.reads.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    side.views.set(txid(1), view(txid(1), 'committed'));
    expect((await waiting)?.status).toBe('committed');
  });

  it('decided is not finished', async () => {
    const side = readSide();
    side.views.set(txid(1), view(txid(1), 'committed'));
    const waiting = side.remote.wait(txid(1), 'finished', 60_000);
    while (side.reads.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    side.views.set(txid(1), view(txid(1), 'committed', 5));
    expect((await waiting)?.finishedAtMs).toBe(5);
  });

  it('that are asked for together are read together, each once', async () => {
    const side = readSide();
    for (const n of [1, 2]) side.views.set(txid(n), view(txid(n), 'aborted'));
    const found = await Promise.all([1, 2, 1, 2, 1].map((n) => side.remote.wait(txid(n), 'decided', 1_000)));
    expect(found.map((v) => v?.txid)).toEqual([1, 2, 1, 2, 1].map(txid));
    expect(side.reads).toEqual([[txid(1), txid(2)]]);
  });

  it('do not exist: null at once', async () => {
    expect(await readSide().remote.wait(txid(9), 'decided', 60_000)).toBeNull();
  });

  it('still pending when the time is up are answered as they are', async () => {
    const side = readSide();
    side.views.set(txid(1), view(txid(1), 'pending'));
    expect((await side.remote.wait(txid(1), 'decided', 0))?.status).toBe('pending');
    expect(side.reads).toHaveLength(1);
  });

  it('survive a fault of the database that passes in time, and report one that does not', async () => {
    const side = readSide();
    side.views.set(txid(1), view(txid(1), 'committed'));
    side.fail = new Error('away');
    const patient = side.remote.wait(txid(1), 'decided', 60_000);
    await expect(side.remote.wait(txid(1), 'decided', 0)).rejects.toThrow('away');
    side.fail = null;
    expect((await patient)?.status).toBe('committed');
  });
});
