import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { readReport } from './report-read.ts';
import type { LoadReport } from './report-types.ts';
import { sampleComparison, sampleReport, sampleRun } from './testing/sample-report.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'load-report-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

function written(content: unknown): string {
  const file = path.join(folder, 'report.json');
  fs.writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

function errorOf(file: string): string {
  try {
    readReport(file);
  } catch (error) {
    return (error as Error).message.replace(`${folder}/`, '');
  }
  throw new Error('it was read');
}

describe('reading a report', () => {
  it('numbers the rounds of a report in which they are not told', () => {
    const report = sampleComparison();
    const without = { ...report, runs: report.runs.map((run) => ({ ...run, round: undefined })) };
    expect(readReport(written(without))).toEqual(report);
  });

  it('gives what was written', () => {
    for (const report of [sampleReport(), sampleComparison(), sampleReport([])]) expect(readReport(written(report))).toEqual(report);
  });

  it('gives NaN for the latencies of a run in which nothing ended, which JSON has as null', () => {
    const run = sampleRun();
    const latency = { count: 0, mean: Number.NaN, p50: Number.NaN, p75: Number.NaN, p90: Number.NaN, p95: Number.NaN, p99: Number.NaN, p999: Number.NaN, max: Number.NaN };
    expect(readReport(written(sampleReport([{ ...run, latency }]))).runs[0]!.latency).toEqual(latency);
  });

  it('says in one line what is wrong with a file', () => {
    const report = sampleReport();
    const withRun = (change: object): LoadReport => ({ ...report, runs: [{ ...report.runs[0]!, ...change }] });
    expect(errorOf(path.join(folder, 'none.json'))).toBe('none.json: cannot be read (ENOENT)');
    expect(errorOf(written('{"format": 1'))).toBe('report.json: not JSON');
    for (const other of [null, [], 'text', { name: 'something else' }]) expect(errorOf(written(JSON.stringify(other)))).toBe('report.json: not a report of the load tester; write one with --json FILE');
    expect(errorOf(written({ ...report, format: 2 }))).toBe('report.json: a report of format 2, this version reads 1; measure again, or read it with the version that wrote it');
    expect(errorOf(written({ ...report, runs: 'none' }))).toBe('report.json: not a whole report: runs must be array');
    expect(errorOf(written(withRun({ perSecond: 'fast' })))).toBe('report.json: not a whole report: runs.0.perSecond must be number');
    expect(errorOf(written(withRun({ audit: undefined })))).toBe("report.json: not a whole report: runs.0 must have required property 'audit'");
    expect(errorOf(written(withRun({ histogram: 'AAAA' })))).toContain('runs.0.histogram is not an HDR histogram');
  });
});
