import type { Knee, RunReport } from './report-types.ts';

/** One step, measured. Times in milliseconds. */
export interface RampStep {
  readonly ratePerSecond: number;
  /** What ended a second, while it was offered. */
  readonly achieved: number;
  readonly p50: number;
  readonly p99: number;
}

/** @param run an open loop */
export function stepOf({ settings: { loop }, perSecond, latency: { p50, p99 } }: RunReport): RampStep {
  return { ratePerSecond: loop.kind === 'open' ? loop.ratePerSecond : 0, achieved: perSecond, p50, p99 };
}

/** A p99 of so many medians of the unloaded system is a queue. */
const QUEUE = 10;
/** Less than this share of what is offered is not keeping up. */
const KEPT_UP = 0.95;
/** How often the last gap is halved. */
const BISECTIONS = 2;
const HIGHEST_RATE = 100_000;

/**
 * Rates that grow by `factor` until one is too much, then halve the gap before it twice.
 * @param steps measured so far, in their order; the first is taken for the unloaded system
 * @returns the next rate, or null: the knee is found
 */
export function nextRate(steps: readonly RampStep[], factor: number): number | null {
  const { ratePerSecond, tooMuch } = kneeOf(steps);
  if (ratePerSecond === null) return null;
  if (tooMuch === null) return ratePerSecond >= HIGHEST_RATE ? null : Math.min(HIGHEST_RATE, Math.max(ratePerSecond + 1, Math.round(ratePerSecond * factor)));
  const first = steps.findIndex((step) => isTooMuch(step, steps[0]!.p50));
  const middle = Math.round((ratePerSecond + tooMuch) / 2);
  return steps.length - 1 - first >= BISECTIONS || middle <= ratePerSecond || middle >= tooMuch ? null : middle;
}

/** @param steps at least one */
export function kneeOf(steps: readonly RampStep[]): Knee {
  const unloadedP50Ms = steps[0]!.p50;
  const failed = steps.filter((step) => isTooMuch(step, unloadedP50Ms)).map(({ ratePerSecond }) => ratePerSecond);
  const tooMuch = failed.length === 0 ? null : Math.min(...failed);
  const kept = steps.filter((step) => !isTooMuch(step, unloadedP50Ms)).map(({ ratePerSecond }) => ratePerSecond);
  return { ratePerSecond: kept.length === 0 ? null : Math.max(...kept), tooMuch, unloadedP50Ms };
}

/** For people, one line. */
export function describeKnee({ ratePerSecond, tooMuch, unloadedP50Ms }: Knee): string {
  const queue = `a p99 of more than ${QUEUE} times the unloaded median of ${unloadedP50Ms.toFixed(1)} ms, or less than ${KEPT_UP * 100} % of what is offered`;
  if (ratePerSecond === null) return `knee: below ${tooMuch}/s, the first rate, which gave less than ${KEPT_UP * 100} % of itself or a p99 of more than ${QUEUE} times its own median; begin lower, with --rate`;
  if (tooMuch === null) return `knee: above ${ratePerSecond}/s, the highest rate there is`;
  return `knee: ${ratePerSecond}/s; at ${tooMuch}/s: ${queue}`;
}

export function isTooMuch({ ratePerSecond, achieved, p99 }: RampStep, unloadedP50: number): boolean {
  return achieved < ratePerSecond * KEPT_UP || !(p99 <= QUEUE * unloadedP50);
}
