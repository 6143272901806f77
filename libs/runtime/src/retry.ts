import type { Clock } from './ports.js';

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

export const QUICK_BACKOFF: Backoff = { firstMs: 10, maxMs: 1_000 };

/** The wait after failure number `attempt` (from 0): doubles up to `maxMs`. */
export function backoffMs(attempt: number, { firstMs, maxMs }: Backoff): number {
  return Math.min(firstMs * 2 ** attempt, maxMs);
}

/** Resolves after `ms` of the clock, or at once when the signal aborts. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      takeBack();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const takeBack = clock.at(clock.now() + ms, end);
    signal?.addEventListener('abort', end);
  });
}
