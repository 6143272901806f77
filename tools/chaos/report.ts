import type { LatencySummary } from '../../apps/loadtest/src/latency.ts';
import type { InjectedFault } from './inject.ts';
import type { Recovery } from './recovery.ts';
import { describeFault } from './schedule.ts';
import type { Second } from './series.ts';
import { table } from '../report/text.ts';
import type { UnaskedEnd } from '../start/service-process.ts';
import type { TrafficTotals } from './traffic.ts';
import type { DoubtSample } from './watch.ts';

export interface Violation {
  /** Which rule. */
  readonly check: string;
  readonly txid: string | null;
  readonly what: string;
}

/** Everything that a chaos run found; also what `--json` holds. Times in milliseconds since the start of the load. */
export interface ChaosReport {
  readonly seed: number;
  readonly minutes: number;
  readonly ratePerSecond: number;
  readonly protocols: Readonly<Record<string, number>>;
  readonly startedAt: string;
  readonly faults: readonly InjectedFault[];
  readonly recoveries: readonly Recovery[];
  readonly traffic: TrafficTotals;
  readonly latency: LatencySummary;
  /** As the tables have them at the end. */
  readonly transactions: { readonly total: number; readonly byProtocol: Readonly<Record<string, Readonly<Record<string, number>>>> };
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
  readonly longestInDoubtMs: number;
  /** From the end of the load until everything held. Null: it never did. */
  readonly drainMs: number | null;
  readonly unaskedEnds: readonly UnaskedEnd[];
  readonly violations: readonly Violation[];
  /** What is known of the transactions of the violations, by txid. */
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly seconds: readonly Second[];
  readonly doubt: readonly DoubtSample[];
  /** Resident megabytes of each process over time. */
  readonly memory: readonly { readonly atMs: number; readonly megabytes: Readonly<Record<string, number>> }[];
  readonly dataDir: string;
}

const seconds = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1000).toFixed(1)} s`);
const millis = (ms: number): string => (Number.isNaN(ms) ? '-' : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`);

export function renderText(report: ChaosReport): string {
  const { traffic, latency } = report;
  return [
    `seed ${report.seed}, ${report.minutes} minutes at ${report.ratePerSecond}/s`,
    '',
    `faults injected: ${report.faults.length} (${countKinds(report.faults)})`,
    `offered ${traffic.offered + traffic.shed}; answers lost at first and found out: ${traffic.followedUp}; never known: ${report.traffic.outstanding}`,
    ...table(['told', ...Object.keys(traffic.told)], outcomesOf(traffic.told).map((outcome) => [outcome, ...Object.values(traffic.told).map((counts) => String(counts[outcome] ?? 0))])),
    ...table(['in the tables', ...Object.keys(report.transactions.byProtocol)], outcomesOf(report.transactions.byProtocol).map((outcome) => [outcome, ...Object.values(report.transactions.byProtocol).map((counts) => String(counts[outcome] ?? 0))])),
    `why not: ${Object.entries(traffic.reasons).sort(([, a], [, b]) => b - a).map(([code, count]) => `${code} ${count}`).join(', ') || 'none'}`,
    `latency of what was answered at once: p50 ${millis(latency.p50)}, p95 ${millis(latency.p95)}, p99 ${millis(latency.p99)}, max ${millis(latency.max)}`,
    `longest in doubt: ${seconds(report.longestInDoubtMs)}; after the load everything was at rest within ${seconds(report.drainMs)}`,
    `back at 80 % of the throughput before: ${recoveryLine(report)}`,
    ...(report.unaskedEnds.length === 0 ? [] : ['', ...report.unaskedEnds.map((end) => `${end.process} ended by itself (${end.how})${end.wasReady ? '' : ' while it was starting'}`)]),
    '',
    ...report.checks.map((check) => `${check.ok ? 'ok      ' : 'BROKEN  '}${check.name}: ${check.detail}`),
    '',
    report.violations.length === 0 ? '0 violations' : `${report.violations.length} VIOLATIONS`,
    ...report.violations.slice(0, 50).map(({ check, txid, what }) => `  ${check}: ${txid === null ? '' : `${txid} `}${what}`),
    ...Object.entries(report.evidence).slice(0, 3).map(([txid, facts]) => `\n${txid}\n${JSON.stringify(facts, null, 1).slice(0, 4_000)}`),
    `logs: ${report.dataDir}/logs`,
  ].join('\n');
}

function countKinds(faults: readonly InjectedFault[]): string {
  return [...Map.groupBy(faults, ({ fault }) => (fault.kind === 'server' ? `${fault.server} ${fault.how}` : fault.kind))].map(([kind, list]) => `${kind} ${list.length}`).join(', ');
}

function recoveryLine({ recoveries }: ChaosReport): string {
  const known = recoveries.flatMap((r) => r.sinceEndMs ?? []).sort((a, b) => a - b);
  if (known.length === 0) return 'not known';
  const never = recoveries.length - known.length;
  return `${known.filter((ms) => ms === 0).length} times before the fault was over or at once; else ${seconds(known.find((ms) => ms > 0) ?? 0)} to ${seconds(known.at(-1)!)} after it${never === 0 ? '' : `; ${never} times the next fault came first`}`;
}

/** One line per fault, for the report and the page. */
export function faultLines({ faults, recoveries }: Pick<ChaosReport, 'faults' | 'recoveries'>): readonly (readonly string[])[] {
  const byNumber = new Map(recoveries.map((r) => [r.n, r]));
  return faults.map(({ fault, beganMs, error }) => {
    const recovery = byNumber.get(fault.n);
    return [String(fault.n), seconds(beganMs), describeFault(fault) + (error === null ? '' : ` (${error})`), recovery === undefined ? '-' : `${recovery.lowest}/s of ${recovery.before.toFixed(0)}`, seconds(recovery?.sinceBeginMs ?? null), seconds(recovery?.sinceEndMs ?? null)];
  });
}

export function outcomesOf(byProtocol: Readonly<Record<string, Readonly<Record<string, number>>>>): readonly string[] {
  return [...new Set(Object.values(byProtocol).flatMap((counts) => Object.keys(counts)))].sort();
}
