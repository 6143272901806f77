import { describe, expect, it } from '@jest/globals';
import { zipf } from './zipf.js';

describe('a Zipf distribution', () => {
  it.each([0.5, 0.99, 1, 1.2, 3])('gives each item its share of the unit interval, exponent %s', (exponent) => {
    const n = 5;
    const weights = Array.from({ length: n }, (_, r) => (r + 1) ** -exponent);
    const sum = weights.reduce((a, b) => a + b);
    const item = zipf(n, exponent);
    let from = 0;
    weights.forEach((weight, r) => {
      const to = from + weight / sum;
      expect([item(from + 1e-9), item(to - 1e-9)]).toEqual([r, r]);
      from = to;
    });
  });

  it('reaches its last item and none beyond', () => {
    expect(zipf(10_000, 1)(1 - Number.EPSILON / 2)).toBe(9_999);
    expect(zipf(1, 1)(0.7)).toBe(0);
  });
});
