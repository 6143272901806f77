import { decodeFromCompressedBase64 } from 'hdr-histogram-js';

/** Beyond it, no run is long enough for the curve to be more than a few of the slowest. */
export const LAST_PERCENTILE = 99.999;
const STEPS_PER_NINE = 20;

/**
 * Points of equal distance on an axis where each nine takes the same room, up to where one value lies above.
 * @param histogram HDR, V2, compressed, base64, microseconds
 * @returns milliseconds at percentiles from 0 to below 100
 */
export function percentileCurve(histogram: string): readonly (readonly [percentile: number, ms: number])[] {
  const values = decodeFromCompressedBase64(histogram);
  if (values.totalCount === 0) return [];
  const nines = Math.log10(Math.min(values.totalCount, 1 / (1 - LAST_PERCENTILE / 100)));
  const steps = Math.floor(nines * STEPS_PER_NINE + 1e-6);
  return Array.from({ length: steps + 1 }, (_, i) => {
    const percentile = 100 * (1 - 10 ** (-i / STEPS_PER_NINE));
    return [percentile, values.getValueAtPercentile(percentile) / 1000] as const;
  });
}
