import type { Clock } from './ports.js';

/** The longest delay that setTimeout takes; a later time is reached in several legs. */
const LONGEST_DELAY_MS = 2_147_483_647;

/** The machine's wall clock; waiting is measured by the monotonic one, so that setting the clock back holds nothing up. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  elapsed(): number {
    return performance.now();
  }

  at(atMs: number, fire: () => void): () => void {
    const dueMs = performance.now() + Math.max(atMs - Date.now(), 0);
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      handle = setTimeout(check, Math.min(Math.max(Math.ceil(dueMs - performance.now()), 0), LONGEST_DELAY_MS));
    };
    // setTimeout rounds, so it may come a little early.
    const check = (): void => (performance.now() < dueMs ? arm() : fire());
    arm();
    return () => clearTimeout(handle);
  }
}
