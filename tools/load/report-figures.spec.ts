import { describe, expect, it } from '@jest/globals';
import { cautions, cpuMsInAll, percentileOf } from './report-figures.ts';
import { percentileCurve } from './report-histogram.ts';
import { sampleRun } from './testing/sample-report.ts';

describe('a percentile', () => {
  it('is not told of too few values for one of them to lie above it', () => {
    const { latency } = sampleRun();
    expect(percentileOf({ ...latency, count: 999 }, 'p999')).toBeNull();
    expect(percentileOf({ ...latency, count: 1_000 }, 'p999')).toBe(latency.p999);
    expect(percentileOf({ ...latency, count: 0 }, 'p50')).toBeNull();
  });
});

describe('the curve of a histogram', () => {
  const { histogram, latency } = sampleRun();
  const curve = percentileCurve(histogram);

  it('goes through the percentiles', () => {
    expect(curve.find(([percentile]) => Math.abs(percentile - 99) < 1e-6)![1]).toBeCloseTo(latency.p99);
  });

  it('never falls, and ends where one value lies above', () => {
    expect(curve.every(([, ms], i) => i === 0 || ms >= curve[i - 1]![1])).toBe(true);
    expect(latency.count * (1 - curve.at(-1)![0] / 100)).toBeGreaterThanOrEqual(1);
    expect(latency.count * (1 - curve.at(-1)![0] / 100)).toBeLessThan(1.2);
  });
});

describe('the CPU time of a transaction', () => {
  it('is that of all processes together, and unknown where none was watched', () => {
    expect(cpuMsInAll(sampleRun())).toBeCloseTo(1.4);
    expect(cpuMsInAll(sampleRun({ overrides: { processes: [] } }))).toBeNull();
  });
});

describe('a reader is warned', () => {
  const open = { ratePerSecond: 1_000, perSecond: 1_000 };

  it('not at all of a run that kept up', () => {
    expect(cautions(sampleRun(open))).toEqual([]);
  });

  it('of an offered rate that was not kept up with', () => {
    expect(cautions(sampleRun({ ...open, perSecond: 900 }))).toEqual([expect.stringContaining('only 90 %')]);
  });

  it('of a generator that was late itself, but not in a closed loop, which has no times to keep', () => {
    expect(cautions(sampleRun({ ...open, overrides: { latestStartMs: 5_000 } }))).toEqual([expect.stringContaining('5,000 ms late')]);
    expect(cautions(sampleRun({ overrides: { latestStartMs: 5_000 } }))).toEqual([]);
  });

  it('of a generator that takes nearly a whole core, with what to do', () => {
    const [load, ...others] = sampleRun().processes;
    const busy = (seconds: number, way: 'sdk' | 'local' = 'sdk') => cautions(sampleRun({ way, overrides: { processes: [{ ...load!, name: 'load-2', cpuSeconds: 20 * seconds }, ...others] } }));
    expect(busy(0.7)).toEqual([]);
    expect(busy(0.93)).toEqual(['a generator took 93 % of one core: more may be possible with --workers 4']);
    expect(busy(0.93, 'local')[0]).toContain('it is the program with the database of its own');
  });

  it('of outcomes that are not known, arrivals that were not sent, and of a run that nobody audited', () => {
    const endings = { committed: 20_000, aborted: 0, refused: 0, unknown: 3, shed: 40 };
    expect(cautions(sampleRun({ ...open, overrides: { endings, audit: [] } }))).toEqual([expect.stringContaining('40 arrivals'), expect.stringContaining('of 3'), 'not audited']);
  });
});
