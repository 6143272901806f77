import { FakeClock } from '../testing/fake-clock.js';
import { Lingering } from './lingering.js';
import type { Transaction } from './transaction.js';

describe('Lingering', () => {
  let clock: FakeClock;
  let forgotten: string[];
  let lingering: Lingering;

  beforeEach(() => {
    clock = new FakeClock();
    forgotten = [];
    lingering = new Lingering({
      clock, lingerMs: 100, lingerMax: 3,
      forget: (transaction) => {
        forgotten.push(transaction.txid);
        lingering.delete(transaction);
      },
    });
  });

  function finished(txid: string, recovered = true): Transaction {
    const transaction = { txid, lingersUntilMs: null, shard: { recovered } } as unknown as Transaction;
    lingering.add(transaction);
    return transaction;
  }

  it('forgets the oldest beyond the limit, and all when their time is over', async () => {
    for (const txid of ['a', 'b', 'c', 'd', 'e']) finished(txid);
    expect(forgotten).toEqual(['a', 'b']);
    expect(lingering.size).toBe(3);
    await clock.advance(201);
    expect(forgotten).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(lingering.size).toBe(0);
  });

  it('keeps those of a shard that is still being loaded, at their place', () => {
    const early = finished('early', false);
    for (const txid of ['a', 'b', 'c', 'd']) finished(txid);
    expect(forgotten).toEqual(['a', 'b']);
    (early.shard as { recovered: boolean }).recovered = true;
    finished('e');
    expect(forgotten).toEqual(['a', 'b', 'early']);
    expect(lingering.size).toBe(3);
  });

  it('counts what was taken out by somebody else once', () => {
    const a = finished('a');
    finished('b');
    lingering.delete(a);
    lingering.delete(a);
    expect(lingering.size).toBe(1);
    for (const txid of ['c', 'd', 'e']) finished(txid);
    expect(forgotten).toEqual(['b']);
  });

  it('stays in order when it has moved thousands of places', () => {
    const txids = Array.from({ length: 5_000 }, (_, i) => String(i));
    for (const txid of txids) finished(txid);
    expect(forgotten).toEqual(txids.slice(0, -3));
    lingering.close();
    expect(lingering.size).toBe(0);
  });
});
