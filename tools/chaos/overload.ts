// Three times what the system can do: what is taken, what is refused, how much memory that needs, and how soon it is itself again.
import { auditAtRest } from './audit.ts';
import { MEASURE_SECONDS, measureCapacity } from './capacity.ts';
import type { PhaseResult } from './http-load.ts';
import type { MemorySample } from './memory.ts';
import type { ChaosOptions } from './options.ts';
import type { Violation } from './report.ts';
import { timeAxis } from '../report/axis.ts';
import { pageHtml, tableHtml } from '../report/html.ts';
import { plotSvg } from '../report/plot.ts';
import { styleOf } from '../report/svg.ts';
import { table } from '../report/text.ts';
import type { Setting } from './setting.ts';
import { checkouts, FIRST_OF_EACH, startSmallCluster } from './small-cluster.ts';

const BEFORE_SECONDS = 20;
const AFTER_SECONDS = 30;
const TIMES = 3;
/** Full speed again: this share of the offered rate answered, in so many seconds together, as fast as `SLOWER` times before (or `ALWAYS_FAST_MS`). */
const FULL = 0.95;
const STEADY_SECONDS = 3;
const SLOWER = 2;
const ALWAYS_FAST_MS = 100;
const BACK_WITHIN_MS = 15_000;

export interface OverloadReport {
  readonly seed: number;
  /** Outcomes a second, closed loop. */
  readonly capacityPerSecond: number;
  readonly capacityAfterPerSecond: number;
  readonly phases: readonly PhaseResult[];
  /** Since the last overload request was offered; null: not within the last phase. */
  readonly fullSpeedAfterMs: number | null;
  readonly memory: readonly MemorySample[];
  readonly violations: readonly Violation[];
}

export async function runOverload(options: ChaosOptions, setting: Setting): Promise<OverloadReport | null> {
  const { log, signal, undo } = setting;
  const { cluster, load, unaskedEnds, sample } = await startSmallCluster(setting, { processes: FIRST_OF_EACH, proxied: false, env: {} });
  const next = checkouts(options.seed, options.protocols);
  const began = performance.now();
  const memory: MemorySample[] = [];
  const ticker = setInterval(() => memory.push(sample(performance.now() - began)), 1_000);
  undo.push(async () => clearInterval(ticker));

  const { clients, perSecond: capacity } = await measureCapacity(load, next, log, signal);
  log(`capacity ${capacity.toFixed(0)}/s; half of it for ${BEFORE_SECONDS} s`);
  const phases = [await load.phase('before, at half', capacity / 2, BEFORE_SECONDS, next, signal)];
  log(`${TIMES} times of it for ${options.seconds} s`);
  phases.push(await load.phase(`${TIMES} times`, capacity * TIMES, options.seconds, next, signal));
  log(`half of it for ${AFTER_SECONDS} s`);
  phases.push(await load.phase('after, at half', capacity / 2, AFTER_SECONDS, next, signal));
  const capacityAfter = await load.capacity(clients, MEASURE_SECONDS, next, signal);
  if (signal.aborted) return null;

  log('auditing');
  const { report } = await auditAtRest(cluster, { answers: load.answers as never }, 120_000, signal);
  const fullSpeedAfterMs = fullSpeedAfter(phases[1]!, phases[2]!, phases[0]!);
  return {
    seed: options.seed, capacityPerSecond: capacity, capacityAfterPerSecond: capacityAfter, phases, fullSpeedAfterMs, memory,
    violations: [
      ...report.checks.flatMap((check) => check.offenders.map(({ txid, what }) => ({ check: check.name, txid, what }))),
      ...unaskedEnds.map((end) => ({ check: 'no process ends by itself', txid: null, what: `${end.process} (${end.how})` })),
      ...(fullSpeedAfterMs !== null && fullSpeedAfterMs <= BACK_WITHIN_MS ? [] : [{ check: 'full speed again', txid: null, what: `not within ${BACK_WITHIN_MS / 1000} s` }]),
      ...(phases[1]!.achievedPerSecond >= capacity / 2 ? [] : [{ check: 'what is taken is served', txid: null, what: `${phases[1]!.achievedPerSecond.toFixed(0)}/s of ${capacity.toFixed(0)}/s` }]),
    ],
  };
}

/**
 * From the end of the overload's arrivals to the first of some good seconds. The answers that the overload still owed come between the
 * phases: that time counts.
 */
export function fullSpeedAfter(overload: PhaseResult, after: PhaseResult, before: PhaseResult): number | null {
  const owedMs = Math.max(0, (overload.outcomesBySecond.length - overload.seconds) * 1000);
  const bound = Math.max(ALWAYS_FAST_MS, before.latency.p99 * SLOWER);
  const good = (s: number): boolean => (after.outcomesBySecond[s] ?? 0) >= after.offeredPerSecond * FULL && (after.p99BySecond[s] ?? Number.POSITIVE_INFINITY) <= bound;
  const last = Math.floor(after.seconds) - STEADY_SECONDS;
  for (let s = 0; s <= last; s++) if (Array.from({ length: STEADY_SECONDS }, (_, i) => s + i).every(good)) return owedMs + s * 1000;
  return null;
}

const HEADER = ['phase', 'offered/s', 'outcomes/s', '429/503', 'lost', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms', 'why not'];

function phaseRows(phases: readonly PhaseResult[]): readonly (readonly string[])[] {
  const ms = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(value < 10 ? 1 : 0));
  const share = (phase: PhaseResult, kind: string): string => `${(((phase.endings[kind] ?? 0) * 100) / Object.values(phase.endings).reduce((sum, n) => sum + n, 0)).toFixed(1)} %`;
  return phases.map((p) => [
    p.name, p.offeredPerSecond.toFixed(0), p.achievedPerSecond.toFixed(0), share(p, 'refused'), share(p, 'lost'), ms(p.latency.p50), ms(p.latency.p95), ms(p.latency.p99), ms(p.latency.max),
    Object.entries(p.reasons).map(([code, n]) => `${code} ${n}`).join(', '),
  ]);
}

function facts({ capacityPerSecond, capacityAfterPerSecond, fullSpeedAfterMs }: OverloadReport): readonly string[] {
  return [
    `capacity, closed loop: ${capacityPerSecond.toFixed(0)}/s before, ${capacityAfterPerSecond.toFixed(0)}/s after`,
    `full speed again: ${fullSpeedAfterMs === null ? 'not seen' : `${(fullSpeedAfterMs / 1000).toFixed(1)} s after the overload`}`,
  ];
}

export function renderOverload(report: OverloadReport): string {
  return [
    ...facts(report),
    ...table(HEADER, phaseRows(report.phases)),
    ...table(['resident MB', 'at first', 'most', 'at last'], memoryRows(report.memory)),
    report.violations.length === 0 ? '0 violations' : `${report.violations.length} VIOLATIONS`,
    ...report.violations.slice(0, 20).map(({ check, txid, what }) => `  ${check}: ${txid === null ? '' : `${txid} `}${what}`),
  ].join('\n');
}

export function renderOverloadPage(report: OverloadReport): string {
  const { memory, violations } = report;
  const endMs = Math.max(1, memory.at(-1)?.atMs ?? 1);
  const names = Object.keys(memory[0]?.megabytes ?? {});
  return pageHtml(`Overload, seed ${report.seed}`, [
    `<h1>Overload <span class="verdict ${violations.length === 0 ? 'good' : 'bad'}">${violations.length} violations</span></h1>`,
    ...facts(report).map((line) => `<p>${line}</p>`),
    tableHtml(HEADER, phaseRows(report.phases), [0, 9]),
    ...report.phases.map((phase) => plotSvg({
      title: `${phase.name}: answers per second, ${phase.offeredPerSecond.toFixed(0)}/s offered`, unit: '/s', kind: 'stack', scale: 'linear',
      lines: [
        { name: 'outcomes', style: 'good', points: phase.outcomesBySecond.map((n, s) => [s * 1000, n]) },
        { name: 'refused', style: 'warn', points: phase.refusedBySecond.map((n, s) => [s * 1000, n]) },
      ],
    }, timeAxis(Math.max(phase.seconds, phase.outcomesBySecond.length) * 1000))),
    plotSvg({ title: 'Resident memory', unit: 'MB', kind: 'lines', scale: 'linear', lines: names.map((name, i) => ({ name, style: styleOf(i), points: memory.map(({ atMs, megabytes }) => [atMs, megabytes[name] ?? null] as const) })) }, timeAxis(endMs)),
    tableHtml(['rule', 'transaction', 'what'], violations.map(({ check, txid, what }) => [check, txid ?? '', what]), [0, 1, 2]),
  ]);
}

export function memoryRows(memory: readonly MemorySample[]): readonly (readonly string[])[] {
  return Object.keys(memory[0]?.megabytes ?? {}).map((name) => {
    const values = memory.flatMap(({ megabytes }) => megabytes[name] ?? []);
    return [name, values[0]!.toFixed(0), Math.max(...values).toFixed(0), values.at(-1)!.toFixed(0)];
  });
}
