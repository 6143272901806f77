import { describe, expect, it } from '@jest/globals';
import { diffReports } from './report-diff.ts';
import { brokenRun, sampleReport, sampleRun } from './testing/sample-report.ts';

const speeds = (...perSecond: readonly number[]) => sampleReport(perSecond.map((each) => sampleRun({ perSecond: each })), { rounds: perSecond.length });
const row = (text: string, label: string): string => text.split('\n').find((line) => line.trim().startsWith(label))!;

describe('the difference of two reports', () => {
  it('says better or worse by what is good for each figure', () => {
    const text = diffReports(sampleReport([sampleRun({ perSecond: 1_000, medianMs: 100 })]), sampleReport([sampleRun({ perSecond: 1_200, medianMs: 150 })]));
    expect(row(text, 'per second')).toMatch(/1,000 +1,200 +\+20\.0 % +better/);
    expect(row(text, 'p50')).toMatch(/\+\d+\.\d % +worse/);
    expect(row(text, 'WAL bytes/tx')).toMatch(/9,820 +9,820 +0\.0 % +the same/);
    expect(text).toContain('one run each');
  });

  it('does not call anything better whose rounds overlap', () => {
    expect(row(diffReports(speeds(1_000, 1_100, 1_200), speeds(1_150, 1_250, 1_300)), 'per second')).toContain('within the spread');
    expect(row(diffReports(speeds(1_000, 1_100, 1_200), speeds(1_250, 1_300, 1_400)), 'per second')).toMatch(/1,100 +1,300 +\+18\.2 % +better/);
  });

  it('says first that machine, environment or settings differ', () => {
    const run = sampleRun({ name: 'a' });
    const before = sampleReport([run]);
    const after = sampleReport([{ ...run, settings: { ...run.settings, seconds: 60, workload: { ...run.settings.workload, skew: 'hot' } } }], { machine: { ...before.machine, cpus: '8' }, environment: {} });
    expect(diffReports(before, after).split('\n').slice(1, 6)).toEqual([
      'NOT the same machine and settings:', '  cpus: 2, then 8', '  MAX_IN_FLIGHT: 2000, then not set', '  a: workload.skew: uniform, then hot', '  a: seconds: 20, then 60',
    ]);
    expect(diffReports(before, before)).toContain('the same machine and settings');
  });

  it('lists the runs that only one of them has', () => {
    const text = diffReports(sampleReport([sampleRun({ name: 'old' })]), sampleReport([sampleRun({ name: 'new' })]));
    expect(text).toContain('no run is in both');
    expect(text).toContain('only before: old');
    expect(text).toContain('only after: new');
  });

  it('has no figures of a run whose audit fails on one side', () => {
    const text = diffReports(sampleReport([sampleRun()]), sampleReport([brokenRun()]));
    expect(text).toContain('AUDIT FAILS after: no figures');
    expect(text).not.toContain('per second');
  });

  it('says so when a figure was measured on one side only', () => {
    expect(row(diffReports(sampleReport([sampleRun({ overrides: { cost: null } })]), sampleReport()), 'WAL bytes/tx')).toContain('not measured before');
  });
});
