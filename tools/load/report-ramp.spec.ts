import { describe, expect, it } from '@jest/globals';
import { kneeOf, stepOf } from './ramp.ts';
import { renderReportPage } from './report-page.ts';
import { heldTable, rampPlots, rampTable } from './report-ramp.ts';
import { renderReport } from './report-table.ts';
import { brokenRun, sampleReport, sampleRun } from './testing/sample-report.ts';

const step = (ratePerSecond: number, perSecond: number) => sampleRun({ ratePerSecond, perSecond, medianMs: 20 });
const runs = [step(100, 100), step(200, 200), step(400, 210), step(300, 299)];
const report = sampleReport(runs, { knee: kneeOf(runs.map(stepOf)) });

describe('what a ramp saw', () => {
  it('is told rate by rate, with the knee marked', () => {
    const table = rampTable(report)!;
    expect(table.title).toMatch(/^knee: 300\/s; at 400\/s/);
    expect(table.rows.map(([offered, , , , , , verdict]) => [offered, verdict])).toEqual([['100', 'kept up'], ['200', 'kept up'], ['300', 'the knee'], ['400', 'too much']]);
  });

  it('stands on the page and in the text', () => {
    expect(renderReport(report)).toMatch(/300 +299 +100 % .* the knee/);
    const page = renderReportPage(report);
    expect(page).toContain('Ended per second over the offered rate');
    expect(page).toContain('<title>Load: ramp of 2pc, sdk</title>');
    expect(rampPlots(report).join('')).toContain('class="band"');
  });

  it('has what was held below the knee as a table of its own, and not as a step', () => {
    const below = sampleRun({ ratePerSecond: 210, perSecond: 210, medianMs: 20, overrides: { warmup: { seconds: 30, steady: false } } });
    const withHeld = { ...report, runs: [...runs, below], held: { share: 0.7, run: runs.length } };
    expect(rampTable(withHeld)!.rows).toEqual(rampTable(report)!.rows);
    const { title, rows: [row] } = heldTable(withHeld)!;
    expect(title).toBe('Held at 70 % of the knee for 20 s');
    expect([row![0], row!.slice(5), Number(row![4]) > 1]).toEqual(['210', ['30', 'no'], true]);
    for (const text of [renderReport(withHeld), renderReportPage(withHeld)]) expect(text).toMatch(/Held at 70 % of the knee[^]*not steady after 30 s of warm-up/);
    expect(heldTable(report)).toBeNull();
    expect(heldTable({ ...withHeld, runs: [...runs, brokenRun()] })).toBeNull();
  });

  it('is nothing where there was no ramp, and leaves out a step whose books do not balance', () => {
    expect(rampTable(sampleReport())).toBeNull();
    expect(rampPlots(sampleReport())).toEqual([]);
    expect(rampTable({ ...report, runs: [...runs, brokenRun({ ratePerSecond: 350 })] })!.rows).toHaveLength(4);
  });
});
