import { describe, expect, it } from '@jest/globals';
import type { InjectedFault } from './inject.js';
import { recoveries } from './recovery.js';
import type { Second } from './series.js';

/** Answers in each second. */
const seconds = (...answered: number[]): Second[] => answered.map((n) => ({ offered: 10, endings: {}, answered: n, p50: null, p99: null, max: null }));
const fault = (n: number, beganMs: number, endedMs: number): InjectedFault => ({ fault: { n, atMs: beganMs, forMs: endedMs - beganMs, kind: 'kill', processes: [], server: null, how: null, delayMs: null }, beganMs, endedMs, error: null });

describe('the time to recover after a fault', () => {
  it('is that until throughput is back at 80 % of what it was before', () => {
    expect(recoveries([fault(1, 5_000, 7_000)], seconds(10, 10, 10, 10, 10, 0, 0, 2, 5, 9, 10, 10), 10)).toEqual([{ n: 1, before: 10, lowest: 0, sinceBeginMs: 4_000, sinceEndMs: 2_000 }]);
  });

  it('is nothing when throughput never fell', () => {
    expect(recoveries([fault(1, 5_000, 7_000)], seconds(...Array.from({ length: 15 }, () => 10)), 10)).toMatchObject([{ sinceBeginMs: 0, sinceEndMs: 0, lowest: 10 }]);
  });

  it('ends before the fault does when the others take over', () => {
    expect(recoveries([fault(1, 5_000, 10_000)], seconds(10, 10, 10, 10, 10, 1, 9, 10, 10, 10, 10, 10, 10), 10)).toMatchObject([{ sinceBeginMs: 1_000, sinceEndMs: 0 }]);
  });

  it('is not over by a single burst of late answers', () => {
    expect(recoveries([fault(1, 5_000, 6_000)], seconds(10, 10, 10, 10, 10, 0, 40, 0, 0, 10, 10, 10), 10)).toMatchObject([{ sinceBeginMs: 4_000 }]);
  });

  it('is not known when the next fault comes first', () => {
    expect(recoveries([fault(1, 5_000, 6_000), fault(2, 8_000, 9_000)], seconds(10, 10, 10, 10, 10, 0, 0, 0, 0, 0, 10, 10), 10)).toMatchObject([{ sinceBeginMs: null, sinceEndMs: null }, { before: 10, sinceBeginMs: 2_000 }]);
  });
});
