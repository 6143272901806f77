import { describe, expect, it } from '@jest/globals';
import { makeTxid } from '#libs/protocol';
import { type KeyHolder, KeyLookup } from './key-lookup.js';

const holder: KeyHolder = { txid: makeTxid(0, 1_700_000_000_000, new Uint8Array(8)), requestHash: 'h' };

describe('who has a key', () => {
  it('is asked for all who want to know at once, each key once', async () => {
    const reads: (readonly string[])[] = [];
    const lookup = new KeyLookup(async (keys) => { reads.push(keys); return new Map([['a', holder]]); });
    expect(await Promise.all(['a', 'b', 'a'].map((key) => lookup.find(key)))).toEqual([holder, null, holder]);
    expect(reads).toEqual([['a', 'b']]);
  });

  it('is asked by one query at a time', async () => {
    let running = 0;
    let most = 0;
    const lookup = new KeyLookup(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return new Map();
    });
    await Promise.all(Array.from({ length: 20 }, async (_, i) => { if (i > 9) await new Promise((resolve) => setImmediate(resolve)); await lookup.find(`k${i}`); }));
    expect(most).toBe(1);
  });

  it('is not known to anybody while more ask than one instance can ask for', async () => {
    const lookup = new KeyLookup(() => new Promise(() => undefined));
    for (let i = 0; i < 6_000; i++) lookup.find(`k${i}`).catch(() => undefined);
    expect(await lookup.find('late')).toBeNull();
  });

  it('is told in bounded time when the database does not answer, and the error when it says one', async () => {
    await expect(new KeyLookup(() => new Promise(() => undefined)).find('a')).rejects.toThrow(/2000 ms/);
    await expect(new KeyLookup(async () => { throw new Error('away'); }).find('a')).rejects.toThrow('away');
  });
});
