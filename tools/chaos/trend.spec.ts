import { describe, expect, it } from '@jest/globals';
import { trendOf } from './trend.js';

const MINUTE = 60_000;
const points = (value: (minute: number) => number) => Array.from({ length: 60 }, (_, i) => [i * 0.5 * MINUTE, value(i * 0.5)] as const);
const tolerance = { share: 0.1, amount: 5 };

describe('the trend of a soak', () => {
  it('is growing when something is added all the time', () => {
    const trend = trendOf(points((minute) => 100 + 2 * minute), tolerance);
    expect(trend.verdict).toBe('growing');
    expect(trend.perHour).toBeCloseTo(120);
  });

  it('is flat when it goes up and down around the same height, as a table that is cleaned by partitions', () => {
    expect(trendOf(points((minute) => 100 + 10 * (minute % 3)), tolerance).verdict).toBe('flat');
  });

  it('is flat after a rise at the beginning', () => {
    expect(trendOf(points((minute) => Math.min(200, 100 + 20 * minute)), tolerance).verdict).toBe('flat');
  });

  it('is flat when it grows by less than what counts as noise', () => {
    expect(trendOf(points((minute) => 10 + 0.1 * minute), tolerance).verdict).toBe('flat');
    expect(trendOf(points((minute) => 1000 + minute), tolerance).verdict).toBe('flat');
  });

  it('is flat when it shrinks, and of a single look', () => {
    expect(trendOf(points((minute) => 500 - minute), tolerance).verdict).toBe('flat');
    expect(trendOf([[0, 5]], tolerance)).toEqual({ verdict: 'flat', perHour: 0, first: 5, last: 5, most: 5 });
  });
});
