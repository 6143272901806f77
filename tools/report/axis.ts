import { linearTicks, short } from './svg.ts';

/** Where things are from left to right. */
export interface Axis {
  /** 0 at the left end, 1 at the right one. */
  readonly place: (x: number) => number;
  readonly ticks: readonly (readonly [x: number, label: string])[];
  readonly label: (x: number) => string;
}

/** From 0; values in milliseconds. */
export function timeAxis(endMs: number): Axis {
  const label = (ms: number): string => `${Math.floor(ms / 60_000)}:${String(Math.round(ms / 1000) % 60).padStart(2, '0')}`;
  const step = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 3_600_000].find((ms) => endMs / ms <= 14) ?? 7_200_000;
  return {
    place: (ms) => ms / endMs,
    ticks: Array.from({ length: Math.floor(endMs / step) + 1 }, (_, i) => [i * step, label(i * step)] as const),
    label,
  };
}

const PERCENTILES = [0, 50, 90, 99, 99.9, 99.99, 99.999];

/** Each nine takes as much room as the one before, as HdrHistogram's plots have it: most of what matters is in the last percent. Values up to below 100. */
export function percentileAxis(end: number): Axis {
  const nines = (percentile: number): number => -Math.log10(1 - percentile / 100);
  const label = (percentile: number): string => `${Number(percentile.toFixed(4))} %`;
  return {
    place: (percentile) => nines(percentile) / nines(end),
    ticks: PERCENTILES.filter((percentile) => percentile <= end + 1e-9).map((percentile) => [percentile, label(percentile)] as const),
    label,
  };
}

/** From 0 to `end`, or the round number above it. */
export function linearAxis(end: number, unit: string): Axis {
  const ticks = linearTicks(Math.max(1, end));
  const last = ticks.at(-1)!;
  return { place: (x) => x / last, ticks: ticks.map((tick) => [tick, `${short(tick)}${tick === last ? ` ${unit}` : ''}`] as const), label: (x) => `${short(x)} ${unit}` };
}
