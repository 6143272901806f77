import { describe, expect, it } from '@jest/globals';
import { shareOf } from './share.js';

describe('the shares of the workers', () => {
  it.each([[256, 4], [10, 3], [1, 4], [0, 2]])('of %s for %s are together what was asked for, and differ by one at most', (total, workers) => {
    const shares = Array.from({ length: workers }, (_, worker) => shareOf(total, worker, workers));
    expect(shares.reduce((a, b) => a + b)).toBe(total);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  });
});
