import { describe, expect, it } from '@jest/globals';
import { renderReport } from './report-table.js';
import { brokenRun, sampleReport } from './testing/sample-report.js';
import { withoutFigures } from './without-figures.js';

describe('a run whose books do not balance', () => {
  const run = withoutFigures(brokenRun({ perSecond: 1_234, medianMs: 77 }));

  it('keeps what it was, and what is wrong with it', () => {
    expect(run.name).toBe(brokenRun().name);
    expect(run.audit.find(({ holds }) => !holds)!.detail).toContain('payments aborted');
    expect(renderReport(sampleReport([run]))).toContain('AUDIT FAILS');
  });

  it('has no figure in what is written, either', () => {
    const { endings, bySecond, processes, phases, cost } = run;
    expect(Object.values(endings).every((n) => n === 0)).toBe(true);
    expect(JSON.parse(JSON.stringify({ perSecond: run.perSecond, latency: run.latency, bySecond, processes, phases, cost }))).toEqual({
      perSecond: 0, bySecond: [], processes: [], phases: null, cost: null,
      latency: { count: 0, mean: null, p50: null, p75: null, p90: null, p95: null, p99: null, p999: null, max: null },
    });
  });
});
