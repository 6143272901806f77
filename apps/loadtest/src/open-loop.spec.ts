import { describe, expect, it } from '@jest/globals';
import { runOpenLoop } from './open-loop.js';

const never = new Promise<void>(() => undefined);

describe('an open loop', () => {
  it('goes on at its rate although nothing is answered', async () => {
    const intended: number[] = [];
    const result = await runOpenLoop({ ratePerSecond: 1000, seconds: 0.2, maxOutstanding: 10_000, attempt: ({ intendedMs }) => { intended.push(intendedMs); return never; } });
    expect(result).toMatchObject({ offered: 200, shed: 0 });
    expect(intended).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  it('names the time at which a late arrival was due, not the one at which it started', async () => {
    const seen: { intendedMs: number; startedMs: number }[] = [];
    const began = performance.now();
    await runOpenLoop({
      ratePerSecond: 100, seconds: 0.1, maxOutstanding: 100,
      attempt: async ({ n, intendedMs }) => {
        seen.push({ intendedMs, startedMs: performance.now() - began });
        // The first one holds the whole process up for as long as the run should take.
        if (n === 0) while (performance.now() - began < 100);
      },
    });
    expect(seen.map((s) => s.intendedMs)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect(seen[1]!.startedMs).toBeGreaterThanOrEqual(100);
  });

  it('sheds what would exceed its bound, and says so', async () => {
    const shed: number[] = [];
    const result = await runOpenLoop({ ratePerSecond: 1000, seconds: 0.02, maxOutstanding: 5, attempt: () => never, onShed: ({ n }) => { shed.push(n); } });
    expect(result).toMatchObject({ offered: 20, shed: 15 });
    expect(shed).toEqual(Array.from({ length: 15 }, (_, i) => i + 5));
  });

  it('ends early when told to', async () => {
    const stop = new AbortController();
    const result = await runOpenLoop({ ratePerSecond: 100, seconds: 60, maxOutstanding: 10, signal: stop.signal, attempt: async ({ n }) => { if (n === 3) stop.abort(); } });
    expect(result.offered).toBe(4);
  });

  it('tells when the last answer has come', async () => {
    let answered = 0;
    const result = await runOpenLoop({ ratePerSecond: 1000, seconds: 0.01, maxOutstanding: 100, attempt: async () => { await new Promise((resolve) => setTimeout(resolve, 30)); answered++; } });
    await result.settled;
    expect(answered).toBe(10);
  });
});
