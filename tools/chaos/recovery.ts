import type { InjectedFault } from './inject.ts';
import type { Second } from './series.ts';

export interface Recovery {
  readonly n: number;
  /** Answers in a second before the fault, of the last five. */
  readonly before: number;
  /** Fewest answers in a second until it had recovered. */
  readonly lowest: number;
  /** From the beginning of the fault until throughput was back for good; 0: it never went away; null: not before the next fault. */
  readonly sinceBeginMs: number | null;
  /** The same, from when the fault had been undone; 0: it was back before that. */
  readonly sinceEndMs: number | null;
}

const BACK = 0.8;
/** So many seconds together must be back: a burst of late answers in a single one is not recovery. */
const STEADY_SECONDS = 2;

/** For each fault when throughput was back at 80 % of what it was before, to the second. */
export function recoveries(faults: readonly InjectedFault[], seconds: readonly Second[], ratePerSecond: number): readonly Recovery[] {
  const answered = seconds.map((second) => second.answered);
  return faults.map(({ fault, beganMs, endedMs }) => {
    const beganSecond = Math.floor(beganMs / 1000);
    const before = usualBefore(answered, beganSecond, ratePerSecond);
    // Others that begin after this one's end spoil the measurement from then on.
    const next = Math.min(...faults.filter((other) => other.beganMs >= endedMs).map((other) => Math.floor(other.beganMs / 1000)), answered.length);
    const good = (s: number): boolean => (answered[s] ?? 0) >= before * BACK;
    const firstBad = range(beganSecond, Math.min(next, Math.floor(endedMs / 1000) + 6)).find((s) => !good(s));
    if (firstBad === undefined) return { n: fault.n, before, lowest: lowest(answered, beganSecond, next), sinceBeginMs: 0, sinceEndMs: 0 };
    const back = range(firstBad, next).find((s) => range(s, Math.min(s + STEADY_SECONDS, next)).every(good) && !laterBad(answered, s, Math.ceil(endedMs / 1000), good));
    if (back === undefined) return { n: fault.n, before, lowest: lowest(answered, beganSecond, next), sinceBeginMs: null, sinceEndMs: null };
    return { n: fault.n, before, lowest: lowest(answered, beganSecond, back), sinceBeginMs: back * 1000 - beganSecond * 1000, sinceEndMs: Math.max(0, back * 1000 - endedMs) };
  });
}

/** While the fault lasts, what is back may go away again. */
function laterBad(answered: readonly number[], from: number, faultEndSecond: number, good: (s: number) => boolean): boolean {
  return range(from, Math.min(faultEndSecond, answered.length)).some((s) => !good(s));
}

/** In the middle of another fault's trouble nothing is usual: then the offered rate counts. */
function usualBefore(answered: readonly number[], second: number, rate: number): number {
  const window = answered.slice(Math.max(0, second - 5), second);
  const mean = window.reduce((sum, n) => sum + n, 0) / Math.max(1, window.length);
  return mean >= rate / 2 ? Math.min(mean, rate) : rate;
}

function lowest(answered: readonly number[], from: number, to: number): number {
  return Math.min(...answered.slice(from, Math.max(from + 1, to)));
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
