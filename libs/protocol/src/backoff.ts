/**
 * When a repetition is due: `firstMs` after now for attempt 0, twice as long for each further attempt, at most `maxMs`.
 * Without jitter: a driver sends what is due together as one batch, and randomness does not belong in a machine.
 */
export function backoffAt(nowMs: number, attempt: number, firstMs: number, maxMs: number): number {
  return nowMs + Math.min(firstMs * 2 ** attempt, maxMs);
}
