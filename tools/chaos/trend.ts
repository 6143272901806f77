/** Value over time, oldest first. */
export type Points = readonly (readonly [atMs: number, value: number])[];

export interface Trend {
  readonly verdict: 'flat' | 'growing';
  /** By least squares over what was judged. */
  readonly perHour: number;
  readonly first: number;
  readonly last: number;
  readonly most: number;
}

export interface Tolerance {
  /** Growth over what was judged that is taken for noise: the greater of a share of the mean and an amount. */
  readonly share: number;
  readonly amount: number;
}

/** The first part is warming up (caches, just-in-time compilation, the first retention period) and is not judged. */
const WARM_UP = 0.4;

/** Whether a value grows, and how fast. What goes up and down around the same height is flat. */
export function trendOf(points: Points, { share, amount }: Tolerance): Trend {
  const values = points.map(([, value]) => value);
  const judged = points.slice(Math.floor(points.length * WARM_UP));
  const slope = slopeOf(judged);
  const spanMs = judged.length < 2 ? 0 : judged.at(-1)![0] - judged[0]![0];
  const mean = judged.reduce((sum, [, value]) => sum + value, 0) / Math.max(1, judged.length);
  const growth = slope * spanMs;
  return { verdict: growth > Math.max(mean * share, amount) ? 'growing' : 'flat', perHour: slope * 3_600_000, first: values[0] ?? 0, last: values.at(-1) ?? 0, most: Math.max(0, ...values) };
}

/** Per millisecond. */
function slopeOf(points: Points): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
