import { describe, expect, it } from '@jest/globals';
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Progress, Result } from '../../apps/loadtest/src/contract.js';
import { endedWithin, latencyOf, mergeProgress, mergeResults } from './merge.js';

function histogramOf(ms: readonly number[]): string {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 3 });
  for (const value of ms) histogram.recordValue(value * 1000);
  return encodeIntoCompressedBase64(histogram);
}

function result(part: Partial<Result>): Result {
  return {
    kind: 'result', endings: { committed: 0, aborted: 0, refused: 0, unknown: 0, shed: 0 }, reasons: {}, seconds: 10, histogram: histogramOf([]), bySecond: [], latestStartMs: 0, sample: [], told: [],
    ...part,
  };
}

describe('the throughput', () => {
  it('is of what ended in the measured time, and not after it', () => {
    const second = (at: number, ended: number) => ({ second: at, ended, refused: 1, p50Ms: 1, p99Ms: 1 });
    expect(endedWithin({ bySecond: [second(0, 100), second(1, 110), second(2, 500)] }, 2)).toBe(210);
  });
});

describe('several generators', () => {
  it('count together', () => {
    const merged = mergeResults([
      result({ endings: { committed: 5, aborted: 1, refused: 0, unknown: 0, shed: 2 }, reasons: { OUT_OF_STOCK: 1 }, latestStartMs: 3, seconds: 10, told: [['a', 'committed']] }),
      result({ endings: { committed: 7, aborted: 2, refused: 1, unknown: 1, shed: 0 }, reasons: { OUT_OF_STOCK: 1, OVERLOADED: 1 }, latestStartMs: 9, seconds: 10, told: [['b', 'aborted']] }),
    ]);
    expect(merged).toMatchObject({
      endings: { committed: 12, aborted: 3, refused: 1, unknown: 1, shed: 2 }, reasons: { OUT_OF_STOCK: 2, OVERLOADED: 1 }, latestStartMs: 9, seconds: 10, told: [['a', 'committed'], ['b', 'aborted']],
    });
  });

  it('have one distribution of latencies, not a mean of their percentiles', () => {
    const fast = histogramOf(Array.from({ length: 990 }, () => 10));
    const slow = histogramOf(Array.from({ length: 10 }, () => 1000));
    const latency = latencyOf(mergeResults([result({ histogram: fast }), result({ histogram: slow })]).histogram);
    expect(latency.count).toBe(1000);
    expect(latency.p99 / 10).toBeCloseTo(1, 2);
    expect(latency.p999 / 1000).toBeCloseTo(1, 2);
    expect(latency.mean).toBeCloseTo(19.9, 0);
  });

  it('have the seconds added up, and the worst percentiles of a second', () => {
    const merged = mergeResults([
      result({ bySecond: [{ second: 0, ended: 5, refused: 0, p50Ms: 10, p99Ms: 20 }, { second: 1, ended: 6, refused: 1, p50Ms: null, p99Ms: null }] }),
      result({ bySecond: [{ second: 0, ended: 7, refused: 2, p50Ms: 8, p99Ms: 50 }, { second: 2, ended: 1, refused: 0, p50Ms: 1, p99Ms: 1 }] }),
    ]);
    expect(merged.bySecond).toEqual([
      { second: 0, ended: 12, refused: 2, p50Ms: 10, p99Ms: 50 }, { second: 1, ended: 6, refused: 1, p50Ms: null, p99Ms: null }, { second: 2, ended: 1, refused: 0, p50Ms: 1, p99Ms: 1 },
    ]);
  });

  it('give a sample of all of them that is no larger than that of one', () => {
    const ids = (prefix: string): string[] => Array.from({ length: 2_000 }, (_, i) => `${prefix}${i}`);
    const { sample } = mergeResults([result({ sample: ids('a') }), result({ sample: ids('b') })]);
    expect(sample).toHaveLength(2_000);
    expect(new Set(sample).size).toBe(2_000);
    expect(sample.filter((id) => id.startsWith('b'))).toHaveLength(1_000);
  });

  it('are shown as one while they run', () => {
    const line = (part: Partial<Progress>): Progress => ({ kind: 'progress', second: 3, ended: 10, refused: 0, p50Ms: 5, p99Ms: 9, outstanding: 4, ...part });
    expect(mergeProgress([line({}), line({ second: 4, ended: 3, p99Ms: 20, p50Ms: null })])).toEqual({ kind: 'progress', second: 4, ended: 13, refused: 0, p50Ms: 5, p99Ms: 20, outstanding: 8 });
  });
});

describe('the latencies of a run', () => {
  it('are in milliseconds', () => {
    const latency = latencyOf(histogramOf(Array.from({ length: 100 }, (_, i) => i + 1)));
    expect(latency.p50).toBeCloseTo(50, 0);
    expect(latency.max).toBeCloseTo(100, 0);
  });

  it('are not known when nothing ended', () => {
    expect(latencyOf(histogramOf([]))).toEqual({ count: 0, mean: Number.NaN, p50: Number.NaN, p75: Number.NaN, p90: Number.NaN, p95: Number.NaN, p99: Number.NaN, p999: Number.NaN, max: Number.NaN });
  });
});
