import type { Clock } from './ports.js';

/** The longest delay that setTimeout takes; a later time is reached in several legs. */
const LONGEST_DELAY_MS = 2_147_483_647;

/** The machine's wall clock. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  at(atMs: number, fire: () => void): () => void {
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      handle = setTimeout(check, Math.min(Math.max(atMs - Date.now(), 0), LONGEST_DELAY_MS));
    };
    // setTimeout counts on a monotonic clock and rounds, so it may come a little before the wall clock's `atMs`.
    const check = (): void => (Date.now() < atMs ? arm() : fire());
    arm();
    return () => clearTimeout(handle);
  }
}
