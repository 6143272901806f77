import { type Backoff, backoffMs, pause as pauseBy, SystemClock } from '#libs/runtime';

const CLOCK = new SystemClock();

/** Waits after the failure number `failures` (the first is 1), but no longer than until the signal is raised. Never rejects. */
export function pauseAfter(failures: number, signal: AbortSignal, backoff: Backoff = { firstMs: 50, maxMs: 2_000 }): Promise<void> {
  return pause(backoffMs(failures - 1, backoff), signal);
}

/** Waits this long, but no longer than until the signal is raised. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return pauseBy(CLOCK, ms, signal);
}
