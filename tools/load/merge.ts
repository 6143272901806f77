import { decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';
import type { Ending, Progress, Result } from '../../apps/loadtest/src/contract.ts';
import type { Latency, Second } from './report-types.ts';

const MAX_SAMPLE = 2_000;

/** The workers' results as those of one. Percentiles of a second are those of the worst worker: of all of them together they are at most that. */
export function mergeResults(results: readonly Result[]): Result {
  if (results.length === 1) return results[0]!;
  return {
    kind: 'result',
    endings: sum(results.map(({ endings }) => endings)) as Record<Ending, number>,
    reasons: sum(results.map(({ reasons }) => reasons)),
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    histogram: encodeIntoCompressedBase64(results.map(({ histogram }) => decode(histogram)).reduce((all, one) => { all.add(one); return all; })),
    bySecond: mergeSeconds(results.map(({ bySecond }) => bySecond)),
    latestStartMs: Math.max(...results.map(({ latestStartMs }) => latestStartMs)),
    sample: thinned(results.flatMap(({ sample }) => sample), MAX_SAMPLE),
    told: results.flatMap(({ told }) => told),
  };
}

/** The same second of all workers as one. */
export function mergeProgress(lines: readonly Progress[]): Progress {
  const [merged] = mergeSeconds([lines.map((line) => ({ ...line, second: 0 }))]);
  return { ...merged!, kind: 'progress', second: Math.max(...lines.map(({ second }) => second)), outstanding: total(lines.map(({ outstanding }) => outstanding)) };
}

/** @param histogram microseconds, as in a Result. Answers milliseconds; NaN when nothing was recorded */
export function latencyOf(histogram: string): Latency {
  const decoded = decode(histogram);
  const at = (percentile: number): number => (decoded.totalCount === 0 ? Number.NaN : decoded.getValueAtPercentile(percentile) / 1000);
  return {
    count: decoded.totalCount, mean: decoded.totalCount === 0 ? Number.NaN : decoded.mean / 1000, p50: at(50), p75: at(75), p90: at(90), p95: at(95), p99: at(99), p999: at(99.9), max: at(100),
  };
}

/**
 * What ended in the measured time, whenever it was asked for: the throughput, and what the cost of that time is divided by. Of an open loop
 * the endings count what was to start in it, which is what was offered as long as everything is answered in the end.
 */
export function endedWithin({ bySecond }: Pick<Result, 'bySecond'>, seconds: number): number {
  return bySecond.reduce((sum, { second, ended }) => (second < seconds ? sum + ended : sum), 0);
}

function decode(histogram: string): Histogram {
  return decodeFromCompressedBase64(histogram);
}

function mergeSeconds(all: readonly (readonly Second[])[]): readonly Second[] {
  const groups = Map.groupBy(all.flat(), ({ second }) => second);
  return [...groups].sort(([a], [b]) => a - b).map(([second, group]) => ({
    second, ended: total(group.map(({ ended }) => ended)), refused: total(group.map(({ refused }) => refused)),
    p50Ms: most(group.map(({ p50Ms }) => p50Ms)), p99Ms: most(group.map(({ p99Ms }) => p99Ms)),
  }));
}

/** Every n-th, so that what is left is spread as before. */
function thinned<T>(list: readonly T[], limit: number): readonly T[] {
  if (list.length <= limit) return list;
  return Array.from({ length: limit }, (_, i) => list[Math.floor((i * list.length) / limit)]!);
}

function sum(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const count of counts) for (const [name, n] of Object.entries(count)) all[name] = (all[name] ?? 0) + n;
  return all;
}

function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function most(values: readonly (number | null)[]): number | null {
  return values.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}
