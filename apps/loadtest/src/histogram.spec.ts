import { describe, expect, it } from '@jest/globals';
import { Histogram } from './histogram.js';

function filled(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe('a histogram of durations', () => {
  it('tells percentiles within one percent, from microseconds to minutes', () => {
    for (const scale of [0.01, 1, 100, 60_000]) {
      const histogram = filled(Array.from({ length: 1000 }, (_, i) => ((i + 1) / 1000) * scale));
      for (const fraction of [0.1, 0.5, 0.9, 0.99]) {
        const exact = fraction * scale;
        expect(Math.abs(histogram.at(fraction) - exact)).toBeLessThanOrEqual(Math.max(exact * 0.016, 0.001));
      }
      expect(histogram.max).toBe(scale);
      expect(histogram.at(1)).toBe(scale);
    }
  });

  it('adds another one to itself', () => {
    const sum = filled([1, 2, 3]);
    sum.add(filled([100, 200]));
    expect({ count: sum.count, max: sum.max }).toEqual({ count: 5, max: 200 });
    expect(sum.at(0.6)).toBeCloseTo(3, 1);
  });

  it('knows nothing of no values', () => {
    expect(new Histogram().summary()).toEqual({ count: 0, p50: Number.NaN, p95: Number.NaN, p99: Number.NaN, p999: Number.NaN, max: Number.NaN });
  });

  it('counts what is too long for it as the longest', () => {
    expect(filled([10 * 3_600_000]).count).toBe(1);
  });
});
