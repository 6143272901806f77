import { describe, expect, it } from '@jest/globals';
import { compareTable, groupsOf, ratiosTo, restlessLines, spreadOf, spreadOfMeasure } from './report-compare.ts';
import type { RunReport } from './report-types.ts';
import { brokenRun, sampleComparison, sampleReport, sampleRun } from './testing/sample-report.ts';

const local = (perSecond: number): RunReport => sampleRun({ way: 'local', perSecond });
const sdk = (perSecond: number): RunReport => sampleRun({ perSecond });
const compared = (...runs: readonly RunReport[]) => sampleReport(runs, { rounds: 3 });

describe('the spread of some values', () => {
  it('is the distance of the outer ones over the median', () => {
    expect(spreadOf([120, 80, 100])).toEqual({ median: 100, min: 80, max: 120, spread: 0.4 });
    expect(spreadOf([1, 2])!.median).toBe(1.5);
    expect(spreadOf([])).toBeNull();
  });
});

describe('a ratio', () => {
  it('is of the same round, so that a machine that drifts cannot make one', () => {
    const [base, group] = groupsOf(compared(local(2_000), sdk(1_000), local(1_000), sdk(500), local(400), sdk(200)));
    expect(spreadOfMeasure(group!, 'perSecond')!.spread).toBe(1.6);
    expect(ratiosTo(base!, group!, 'perSecond')).toEqual({ median: 0.5, min: 0.5, max: 0.5, spread: 0 });
  });

  it('is the median of the ratios, not the ratio of the medians', () => {
    const [base, group] = groupsOf(compared(local(1_000), sdk(900), local(2_000), sdk(600), local(3_000), sdk(1_200)));
    // Of the medians it would be 900 / 2,000.
    expect(ratiosTo(base!, group!, 'perSecond')!.median).toBe(0.4);
  });

  it('leaves out a round in which either side failed its audit, without moving the other rounds', () => {
    const [base, group] = groupsOf(compared(local(1_000), sdk(500), brokenRun({ way: 'local', perSecond: 9_000 }), sdk(600), local(2_000), sdk(1_000)));
    expect(ratiosTo(base!, group!, 'perSecond')).toEqual({ median: 0.5, min: 0.5, max: 0.5, spread: 0 });
  });
});

describe('the table of a comparison', () => {
  it('is relative to the local transaction unless a base is chosen', () => {
    expect(compareTable(sampleComparison())).toContain('x: of local, 256 clients');
    expect(compareTable(sampleComparison(), '2pc, http, 256 clients')).toMatch(/local, 256 clients +3 .* 2\.5\d /);
  });

  it('takes the local transaction of each load', () => {
    const text = compareTable(sampleReport([local(2_000), sdk(1_000), sampleRun({ way: 'local', clients: 64, perSecond: 500 }), sampleRun({ clients: 64, perSecond: 100 })]));
    expect(text).toMatch(/2pc, sdk, 64 clients .* 0\.200 .*local, 64 clients$/m);
  });

  it('names the runs there are when there is none of the name', () => {
    expect(() => compareTable(sampleComparison(), 'nothing')).toThrow('no run is called "nothing"; there are: local, 256 clients; 2pc, sdk, 256 clients; 2pc, http, 256 clients');
  });

  it('can be made of no runs, and of runs that all failed', () => {
    expect(compareTable(sampleReport([]))).toBe('no runs');
    expect(compareTable(compared(brokenRun(), brokenRun(), brokenRun()))).toContain('0 of 3');
  });
});

describe('a reader of medians is warned', () => {
  it('when the rounds are more than 20 % apart', () => {
    expect(restlessLines(compared(sdk(1_000), sdk(1_100), sdk(900)))).toEqual([]);
    expect(restlessLines(compared(sdk(1_000), sdk(1_150), sdk(900)))[0]).toBe('2pc, sdk, 256 clients: spread over 20 %: per second 25 %');
  });

  it('when rounds are left out because of their audit', () => {
    expect(restlessLines(compared(sdk(1_000), brokenRun(), sdk(1_000)))).toEqual(['2pc, sdk, 256 clients: the audit fails in 1 of 3 rounds, which are left out']);
  });
});
