import { describe, expect, it } from '@jest/globals';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { Latencies, type Precision } from './latency.js';

function filled(values: readonly number[], precision?: Precision): Latencies {
  const latencies = new Latencies(precision);
  for (const value of values) latencies.record(value);
  return latencies;
}

describe('recorded latencies', () => {
  it.each([['fine', 0.001], ['coarse', 0.01]] as const)('are told, %s, within %s of the exact percentile, from microseconds to minutes', (precision, error) => {
    for (const scale of [0.1, 1, 100, 60_000]) {
      const latencies = filled(Array.from({ length: 1000 }, (_, i) => ((i + 1) / 1000) * scale), precision);
      for (const fraction of [0.1, 0.5, 0.9, 0.99, 1]) {
        const exact = fraction * scale;
        expect(Math.abs(latencies.at(fraction) - exact)).toBeLessThanOrEqual(Math.max(exact * error, 0.001));
      }
    }
  });

  it('have no percentiles where there are none', () => {
    expect(new Latencies().summary()).toEqual({ count: 0, p50: Number.NaN, p95: Number.NaN, p99: Number.NaN, p999: Number.NaN, max: Number.NaN });
  });

  it.each(['fine', 'coarse'] as const)('are counted, %s, although they are out of range', (precision) => {
    const latencies = filled([-0.3, 0, 10 * 3_600_000], precision);
    expect(latencies.count).toBe(3);
    expect(latencies.at(0.5)).toBe(0.001);
    expect(Math.abs(latencies.max / 120_000 - 1)).toBeLessThan(0.01);
  });

  it('can be told to start again', () => {
    const latencies = filled([5]);
    latencies.reset();
    latencies.record(7);
    expect(latencies.summary()).toMatchObject({ count: 1, max: expect.closeTo(7, 1) });
  });

  it('can be read by whoever knows the interchange format, in microseconds', () => {
    const read = decodeFromCompressedBase64(filled([1, 2, 3], 'fine').encoded(), 32);
    expect({ count: read.totalCount, median: read.getValueAtPercentile(50), digits: read.numberOfSignificantValueDigits }).toEqual({ count: 3, median: 2_000, digits: 3 });
  });
});
