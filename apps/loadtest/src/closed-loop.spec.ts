import { describe, expect, it } from '@jest/globals';
import { runClosedLoop } from './closed-loop.js';

/** Attempts that each take so long on a clock of their own: nobody waits for a real one. */
function simulated(stepMs: number): { now: () => number; attempt: () => Promise<void>; most: () => number; count: () => number } {
  let nowMs = 0;
  let open = 0;
  let most = 0;
  let count = 0;
  const attempt = async (): Promise<void> => {
    most = Math.max(most, ++open);
    count++;
    await Promise.resolve();
    open--;
    nowMs += stepMs;
  };
  return { now: () => nowMs, attempt, most: () => most, count: () => count };
}

describe('a closed loop', () => {
  it('has as many attempts under way as it has clients, never more', async () => {
    const { now, attempt, most } = simulated(1);
    await runClosedLoop({ clients: 7, seconds: 0.1, attempt, now });
    expect(most()).toBe(7);
  });

  it('starts an attempt only when the one before has ended, until its time is up', async () => {
    const { now, attempt, count } = simulated(10);
    await runClosedLoop({ clients: 1, seconds: 0.1, attempt, now });
    expect(count()).toBe(10);
  });

  it('ends early when told to, after what is under way', async () => {
    const { now, attempt, count } = simulated(1);
    const stop = new AbortController();
    await runClosedLoop({ clients: 1, seconds: 3600, attempt: async () => { await attempt(); if (count() === 5) stop.abort(); }, now, signal: stop.signal });
    expect(count()).toBe(5);
  });

  it('is over at once where a worker got none of the clients', async () => {
    const { now, attempt, count } = simulated(1);
    await runClosedLoop({ clients: 0, seconds: 3600, attempt, now });
    expect(count()).toBe(0);
  });
});
