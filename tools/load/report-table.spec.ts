import { describe, expect, it } from '@jest/globals';
import { renderReport } from './report-table.ts';
import { brokenRun, sampleComparison, sampleReport, sampleRun } from './testing/sample-report.ts';

const cells = (text: string, row: string): readonly string[] => text.split('\n').find((line) => line.trim().startsWith(row))!.trim().split(/ {2,}/);

describe('the report of one run', () => {
  const text = renderReport(sampleReport());

  it('says what ended, how, and why not', () => {
    expect(text).toContain('1,200/s ended from 256 clients in a closed loop; 24,037 in 20 s after 5 s of warm-up, 2 workers');
    expect(cells(text, '2pc, sdk, 256 clients  ')).toEqual(['2pc, sdk, 256 clients', '23,520', '480', '37', '336', '144', '37']);
  });

  it('has latency, phases, processes, costs and the audit', () => {
    for (const part of ['p99.9', 'Phases of the commit', 'most MB', 'WAL bytes', 'audit: 3 checks hold']) expect(text).toContain(part);
    expect(cells(text, 'in all')).toEqual(['in all', '33.6', '1.40']);
  });

  it('leaves out what a local transaction does not have', () => {
    expect(renderReport(sampleReport([sampleRun({ way: 'local', overrides: { processes: [], cost: null } })]))).not.toMatch(/Phases|Processes|Costs/);
  });

  it('says how much of the offered rate ended', () => {
    expect(renderReport(sampleReport([sampleRun({ ratePerSecond: 2_000, perSecond: 1_000 })]))).toContain('1,000/s ended, 50 % of the 2,000/s offered');
  });
});

describe('the report of several runs', () => {
  const local = sampleRun({ way: 'local', perSecond: 2_000 });
  const table = (...runs: Parameters<typeof sampleReport>[0] & {}): string => renderReport(sampleReport(runs));

  it('relates each to the local transaction of as many clients', () => {
    const text = table(local, sampleRun({ perSecond: 1_200 }), sampleRun({ clients: 64, perSecond: 900 }));
    expect(cells(text, '2pc, sdk, 256 clients').slice(2, 4)).toEqual(['1,200', '0.600']);
    expect(cells(text, '2pc, sdk, 64 clients').slice(2, 4)).toEqual(['900', '-']);
  });

  it('relates each to both ways of writing it, and to the one behind HTTP', () => {
    const text = table(local, sampleRun({ way: 'local-single', perSecond: 4_000 }), sampleRun({ way: 'local-http', perSecond: 1_000 }), sampleRun({ way: 'http', perSecond: 500 }));
    expect(cells(text, 'run').slice(3, 6)).toEqual(['x M', 'x B', 'x M/http']);
    expect(cells(text, '2pc, http').slice(3, 6)).toEqual(['0.250', '0.125', '0.500']);
  });

  it('relates more participants to the whole checkout, and other keys to nothing', () => {
    const workload = sampleRun().settings.workload;
    const other = (change: Partial<typeof workload>) => sampleRun({ name: 'other', perSecond: 500, overrides: { settings: { ...sampleRun().settings, workload: { ...workload, ...change } } } });
    expect(cells(table(local, other({ participants: 10 })), 'other')[3]).toBe('0.250');
    expect(cells(table(local, other({ skew: 'hot' })), 'other')[3]).toBe('-');
  });

  it('has no such column without a local transaction', () => {
    expect(table(sampleRun(), sampleRun({ way: 'http' }))).not.toContain('x M');
  });

  it('does not relate anything to a local transaction whose audit fails', () => {
    expect(table(brokenRun({ way: 'local' }), sampleRun())).not.toContain('x M');
  });

  it('shows the offenders of a run whose audit fails, and not one of its figures', () => {
    const text = table(sampleRun(), brokenRun({ way: 'http', perSecond: 777, medianMs: 55_555 }));
    expect(text).toContain('all participants agree: tx-0042: orders committed, payments aborted');
    expect(cells(text, '2pc, http, 256 clients')).toEqual(['2pc, http, 256 clients', '256 clients', 'FAILS']);
    expect(text).not.toContain('777');
    expect(text.split('\n').filter((line) => line.includes('2pc, http'))).toHaveLength(2);
    expect(text).toContain('audit: 3 checks hold (');
  });

  it('relates a round to the local transaction of that round', () => {
    expect(cells(renderReport(sampleComparison()), '2pc, sdk, 256 clients, round 2')).toEqual(expect.arrayContaining(['847', '0.605']));
  });
});

describe('a report whose only run fails its audit', () => {
  it('says that and nothing else of it', () => {
    const text = renderReport(sampleReport([brokenRun()]));
    expect(text).toContain('AUDIT FAILS: 2pc, sdk, 256 clients');
    expect(text).not.toMatch(/1,200|p50|CPU ms/);
  });
});
