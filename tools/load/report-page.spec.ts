import { describe, expect, it } from '@jest/globals';
import { renderReportPage } from './report-page.ts';
import { brokenRun, sampleComparison, sampleReport, sampleRun } from './testing/sample-report.ts';

const titles = (page: string): readonly string[] => [...page.matchAll(/class="title"[^>]*>([^<]*)</g)].map(([, title]) => title!);

describe('the page of a report', () => {
  it('plots latency, time, outcomes, phases, processes and costs', () => {
    expect(titles(renderReportPage(sampleReport()))).toEqual([
      'Latency by percentile', 'Answers per second', 'Latency of each second', 'Outcomes by reason (at the end: committed)', 'Phases of the commit, p50 of each', 'Phases of the commit, p99 of each',
      'CPU per transaction', 'Most resident memory', 'Flushes and transactions, each transaction', 'Bytes, each transaction',
    ]);
  });

  it('needs nothing from elsewhere', () => {
    expect(renderReportPage(sampleReport())).not.toMatch(/\b(?:src|href)=|url\(|@import/);
  });

  it('has a line for each run over time', () => {
    const page = renderReportPage(sampleReport([sampleRun({ way: 'local' }), sampleRun()]));
    expect(titles(page)).toEqual(expect.arrayContaining(['Ended per second', 'Refused per second', 'p50 of each second', 'p99 of each second']));
  });

  it('has medians with whiskers for rounds', () => {
    const page = renderReportPage(sampleComparison());
    expect(titles(page)).toContain('per second: median, least and most of the rounds');
    expect(page.match(/class="whisker"/g)).toHaveLength(12);
  });

  it('tells the checks of the audit, the versions and the settings', () => {
    for (const told of ['money and stock are conserved', 'Postgres 18.4', 'MAX_IN_FLIGHT=2000', 'uniform']) expect(renderReportPage(sampleReport())).toContain(told);
  });

  it('shows the offenders of a run whose audit fails, and not one of its figures', () => {
    const page = renderReportPage(sampleReport([sampleRun(), brokenRun({ way: 'http', perSecond: 777 })]));
    expect(page).toContain('tx-0042: orders committed, payments aborted');
    expect(page).toContain('the audit fails in 1 of 2 runs');
    expect(page).not.toContain('777');
    expect(titles(renderReportPage(sampleReport([brokenRun()])))).toEqual([]);
  });

  it('does not call a run good that nobody audited', () => {
    expect(renderReportPage(sampleReport([sampleRun({ overrides: { audit: [] } })]))).toContain('<span class="verdict warn">not audited</span>');
  });

  it('can be made of a run in which nothing ended', () => {
    const latency = { ...sampleRun().latency, count: 0, mean: Number.NaN, p50: Number.NaN };
    const empty = sampleRun({ perSecond: 0, overrides: { latency, bySecond: [], phases: null, processes: [], cost: null } });
    const withoutScript = renderReportPage(sampleReport([empty])).replace(/<script>.*<\/script>/s, '');
    expect(/.{0,60}(?:NaN|Infinity|undefined)/.exec(withoutScript)).toBeNull();
    expect(renderReportPage(sampleReport([]))).toContain('0 configurations');
  });
});
