import { describe, expect, it } from '@jest/globals';
import { differing } from './filled-audit.ts';

describe('sets in several tables', () => {
  const one = { name: 'orders', rows: 10, digest: '77' };

  it('are the same by their number and digest', () => {
    expect(differing([one, { ...one, name: 'payments' }], 10)).toEqual([]);
  });

  it('are not the same when one has fewer, or others', () => {
    expect(differing([one, { ...one, name: 'payments', rows: 9 }, { ...one, name: 'inventory', digest: '78' }], 10)).toEqual(['payments has 9 of 10', 'inventory has 10 of 10, but others than orders']);
  });

  it('are not right when all lack the same', () => {
    expect(differing([{ ...one, rows: 9 }, { ...one, name: 'payments', rows: 9 }], 10)).toHaveLength(2);
  });
});
