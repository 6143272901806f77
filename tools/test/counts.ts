import fs from 'node:fs';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** Suites that could not even be loaded: none of their tests is counted anywhere. */
  readonly numRuntimeErrorTestSuites: number;
}

/** Counts of a Jest run from its `--json` report. A run without a report, or one that failed for no counted reason, is one failure. */
export function countsOfJest(reportFile: string, exitCode: number | null): Counts {
  const report = read(reportFile);
  if (report === null) return { passed: 0, failed: 1 };
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return { passed: report.numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

export function sum(all: readonly Counts[]): Counts {
  return { passed: all.reduce((n, c) => n + c.passed, 0), failed: all.reduce((n, c) => n + c.failed, 0) };
}

function read(file: string): JestReport | null {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as JestReport;
  } catch {
    return null;
  }
}
