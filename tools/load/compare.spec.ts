import { describe, expect, it } from '@jest/globals';
import { orderOf } from './compare.js';

describe('a comparison', () => {
  it('measures each configuration once in each round, every second round backwards', () => {
    expect(orderOf(3, 3)).toEqual([0, 1, 2, 2, 1, 0, 0, 1, 2]);
  });

  it('measures them in their order when there is one round', () => {
    expect(orderOf(2, 1)).toEqual([0, 1]);
  });
});
