import type { BranchReport } from '#libs/runtime';

/** Of two- and three-phase commit: nearly all that is ever written. Without property names; the nulls at the end left out. */
type StoredProgress = readonly [vote: string | null, acked: 0 | 1, attempts: number, result?: unknown, reason?: unknown];
export type StoredReport = BranchReport | StoredProgress;

/** JSON text. The reports of other protocols stay as they are. */
export function encodeReports(reports: readonly BranchReport[]): string {
  return JSON.stringify(reports.map(encodeReport));
}

function encodeReport(report: BranchReport): StoredReport {
  if (!('vote' in report && 'attempts' in report)) return report;
  const { vote, acked, attempts, result, reason } = report;
  if (reason !== null) return [vote, acked ? 1 : 0, attempts, result, reason];
  return result === null ? [vote, acked ? 1 : 0, attempts] : [vote, acked ? 1 : 0, attempts, result];
}

export function decodeReports(stored: readonly StoredReport[]): readonly BranchReport[] {
  return stored.map((report) => {
    if (!isProgress(report)) return report;
    const [vote, acked, attempts, result = null, reason = null] = report;
    return { vote, reason, result, acked: acked === 1, attempts } as BranchReport;
  });
}

function isProgress(report: StoredReport): report is StoredProgress {
  return Array.isArray(report);
}
