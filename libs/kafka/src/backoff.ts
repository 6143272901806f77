import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds to wait before attempt number `attempt` (1 is the first repetition): doubling from `firstMs` up to `maxMs`. */
export function backoffMs(attempt: number, firstMs = 50, maxMs = 2_000): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 20));
}

/** Sleeps, but no longer than until the signal is raised. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
