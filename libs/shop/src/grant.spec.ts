import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { grantInOrder, grantMost, totalsOf, type Wish } from './grant.js';

const CODES = { unknown: 'UNKNOWN_CUSTOMER', short: 'INSUFFICIENT_FUNDS' };
const said = (wishes: readonly Wish[], free: Record<string, number>): readonly string[] => grantInOrder(wishes, new Map(Object.entries(free)), CODES).votes.map((v) => (v.vote === 'no' ? v.code : v.vote));
const wish = (key: string, amount: number): Wish => ({ key, amount });

describe('grantInOrder', () => {
  it('grants wishes of one key in their order until nothing is left', () => {
    expect(said([wish('a', 40), wish('a', 60), wish('a', 1)], { a: 100 })).toEqual(['yes', 'yes', 'INSUFFICIENT_FUNDS']);
  });

  it('lets a smaller wish pass after one that was too big', () => {
    expect(said([wish('a', 101), wish('a', 100)], { a: 100 })).toEqual(['INSUFFICIENT_FUNDS', 'yes']);
  });

  it('refuses an unknown key without touching its neighbours', () => {
    expect(said([wish('x', 1), wish('a', 1)], { a: 1 })).toEqual(['UNKNOWN_CUSTOMER', 'yes']);
  });

  it('never grants more than is free, refuses only what no longer fits, and sums what it granted', () => {
    const wishes = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'none'), amount: fc.integer({ min: 1, max: 50 }) }));
    fc.assert(fc.property(wishes, fc.nat(120), fc.nat(120), (list, a, b) => {
      const free = new Map([['a', a], ['b', b], ['c', 0]]);
      const { votes, totals } = grantInOrder(list, free, CODES);
      const left = new Map(free);
      list.forEach(({ key, amount }, i) => {
        const fits = (left.get(key) ?? 0) >= amount;
        expect(votes[i]!.vote).toBe(fits ? 'yes' : 'no');
        if (fits) left.set(key, left.get(key)! - amount);
      });
      totals.keys.forEach((key, i) => expect(totals.amounts[i]).toBe(free.get(key)! - left.get(key)!));
      expect(totals.keys).toEqual([...free.keys()].filter((key) => left.get(key) !== free.get(key)));
    }));
  });
});

it('totals name every key once, in order', () => {
  expect(totalsOf([wish('b', 1), wish('a', 2), wish('b', 3)])).toEqual({ keys: ['a', 'b'], amounts: [2, 4] });
});

describe('grantMost', () => {
  const keys = fc.constantFrom('a', 'b', 'c');
  const wishes = fc.array(fc.record({ key: keys, amount: fc.integer({ min: 1, max: 9 }) }), { maxLength: 8 });

  it('says and takes what grantInOrder does', async () => {
    await fc.assert(fc.asyncProperty(wishes, fc.dictionary(keys, fc.integer({ min: 0, max: 20 })), async (some, free) => {
      const left = new Map(Object.entries(free));
      const shelf = {
        take: async ({ keys: wanted, amounts }: ReturnType<typeof totalsOf>) => new Set(wanted.filter((key, i) => {
          const has = left.get(key);
          if (has === undefined || has < amounts[i]!) return false;
          left.set(key, has - amounts[i]!);
          return true;
        })),
        look: async (wanted: readonly string[]) => new Map([...left].filter(([key]) => wanted.includes(key))),
      };
      const { votes, totals } = grantInOrder(some, new Map(Object.entries(free)), CODES);
      expect(await grantMost(some, shelf, CODES)).toEqual(votes);
      for (const [key, amount] of Object.entries(free)) expect(left.get(key)).toBe(amount - (totals.amounts[totals.keys.indexOf(key)] ?? 0));
    }));
  });
});
