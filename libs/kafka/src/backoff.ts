import { type Backoff, backoffMs, pause, SystemClock } from '#libs/runtime';

const CLOCK = new SystemClock();

/** Waits after the failure number `failures` (the first is 1), but no longer than until the signal is raised. Never rejects. */
export function pauseAfter(failures: number, signal: AbortSignal, backoff: Backoff = { firstMs: 50, maxMs: 2_000 }): Promise<void> {
  return pause(CLOCK, backoffMs(failures - 1, backoff), signal);
}
