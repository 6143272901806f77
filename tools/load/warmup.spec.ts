import { describe, expect, it } from '@jest/globals';
import type { Progress } from '../../apps/loadtest/src/contract.js';
import { isSteady, Warmup } from './warmup.js';

const RATE = 400;
const second = (outstanding: number, p50Ms: number | null, n = -1): Progress => ({ kind: 'progress', second: n, ended: RATE, refused: 0, p50Ms, p99Ms: p50Ms, outstanding });
const seconds = (...of: readonly (readonly [open: number, p50Ms: number | null])[]): readonly Progress[] => of.map(([open, p50Ms]) => second(open, p50Ms));

describe('a warm-up', () => {
  it.each([
    ['has nothing queued', [[10, 25], [18, 28], [8, 24]], true],
    ['has as many open as a slow system has, which was never faster', [[80, 200], [84, 210], [78, 195]], true],
    ['has just begun', [[10, 25], [10, 25]], false],
    ['has a queue that grows', [[10, 25], [90, 30], [200, 35]], false],
    ['has a queue that drains', [[900, 400], [500, 380], [110, 300]], false],
    ['has a queue that stays, although it was faster before', [[10, 20], [300, 200], [600, 1_500], [602, 1_490], [601, 1_500]], false],
    ['becomes faster still', [[20, 50], [20, 36], [20, 24]], false],
    ['has nothing that ended', [[2, null], [2, null], [2, null]], true],
    ['is stuck', [[400, null], [800, null], [1_200, null]], false],
  ] as const)('%s', (_, of, steady) => {
    expect(isSteady(seconds(...of), RATE)).toBe(steady);
  });

  const warming = (warmupSeconds: number, stretch: number, of: readonly Progress[], loop: ConstructorParameters<typeof Warmup>[0]['loop'] = { kind: 'open', ratePerSecond: RATE }): readonly unknown[] => {
    const warmup = new Warmup({ loop, warmupSeconds }, stretch);
    return [warmup.mostSeconds, ...of.map((progress) => warmup.progressed(progress)), warmup.result()];
  };
  const quiet = Array.from({ length: 6 }, () => second(10, 25));

  it('ends two seconds after it has become steady', () => {
    expect(warming(3, 10, [second(900, 400), second(300, 200), ...quiet.slice(0, 4)])).toEqual([30, null, null, null, null, 7, null, { seconds: 7, steady: true }]);
  });

  it('is not shorter than it was asked for', () => {
    expect(warming(7, 2, quiet)).toEqual([14, null, null, null, null, 7, null, { seconds: 7, steady: true }]);
  });

  it('is not longer than it may be, and says that it was not steady', () => {
    const growing = Array.from({ length: 6 }, (_, i) => second(100 * (i + 1), 30));
    expect(warming(2, 3, growing)).toEqual([6, ...growing.map(() => null), { seconds: 6, steady: false }]);
  });

  it('of a closed loop, or of no seconds, is as long as it was asked for', () => {
    expect(warming(3, 10, quiet, { kind: 'closed', clients: 4 })).toEqual([3, ...quiet.map(() => null), undefined]);
    expect(warming(0, 10, [second(1, 1, 0)])).toEqual([0, null, undefined]);
  });
});
