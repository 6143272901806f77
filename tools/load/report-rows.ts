// The tables of a report, for text and page alike. All but the summary and the audit are of the runs whose audit does not fail.
import { auditFails, auditWord, BASES, cpuMsInAll, ENDINGS, isBaseFor, labelled, type Labelled, loadName, percentileOf, sound } from './report-figures.ts';
import type { Way } from '../../apps/loadtest/src/contract.ts';
import type { Cost, LoadReport, Phase, RunReport } from './report-types.ts';
import { isLocal } from './settings.ts';
import { count, figure } from '../report/numbers.ts';

export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of words, from 0. */
  readonly words: readonly number[];
}

export const PHASE_NAMES: readonly Phase['name'][] = ['queue', 'prepare', 'vote', 'decision', 'delivery'];

export const COST_LABELS: Readonly<Record<keyof Cost, string>> = {
  coordinatorFlushes: 'coordinator flushes', databaseTransactions: 'database transactions', walSyncs: 'WAL syncs', walBytes: 'WAL bytes', kafkaBytes: 'Kafka bytes',
};
export const COSTS = Object.keys(COST_LABELS) as readonly (keyof Cost)[];

/** One line for each run; nothing but its name and the verdict where the audit fails. */
export function summaryTable(report: LoadReport): Table {
  const all = labelled(report);
  const bases = BASES.map(([label, way]) => ({ label, ratios: all.map((each) => baseRatio(each, all, way)) })).filter(({ ratios }) => ratios.some((ratio) => ratio !== null));
  const hasShed = all.some(({ run }) => run.endings.shed > 0);
  const header = ['run', 'load', 'per second', ...bases.map(({ label }) => label), 'p50 ms', 'p95 ms', 'p99 ms', 'aborted', 'refused', 'unknown', ...(hasShed ? ['shed'] : []), 'CPU ms/tx', 'audit'];
  return {
    title: 'Runs', header, words: [0, 1, header.length - 1],
    rows: all.map(({ run, label }, i) => {
      const { endings, latency } = run;
      if (auditFails(run)) return [label, loadName(run), ...Array<string>(header.length - 3).fill(''), auditWord(run)];
      return [
        label, loadName(run), figure(run.perSecond), ...bases.map(({ ratios }) => figure(ratios[i]!)),
        ...(['p50', 'p95', 'p99'] as const).map((name) => figure(percentileOf(latency, name))),
        count(endings.aborted), count(endings.refused), count(endings.unknown), ...(hasShed ? [count(endings.shed)] : []), figure(cpuMsInAll(run)), auditWord(run),
      ];
    }),
  };
}

/** Whether the summary has columns of base lines. */
export function hasBases({ runs }: LoadReport): boolean {
  return runs.some((run) => isLocal(run.settings.way) && !auditFails(run));
}

/** Of the local transaction for as many clients, in the same round; null when there is none, or it cannot be believed. */
function baseRatio({ run }: Labelled, all: readonly Labelled[], way: Way): number | null {
  const local = all.find((other) => other.run.settings.way === way && other.run.round === run.round && isBaseFor(other.run, run))?.run;
  return local === undefined || auditFails(local) || local.perSecond === 0 ? null : run.perSecond / local.perSecond;
}

export function latencyTable(report: LoadReport): Table {
  return {
    title: 'Latency', header: ['ms', 'count', 'mean', 'p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'max'], words: [0],
    rows: sound(report).map(({ run: { latency }, label }) => [
      label, count(latency.count), figure(latency.mean), ...(['p50', 'p75', 'p90', 'p95', 'p99', 'p999'] as const).map((name) => figure(percentileOf(latency, name))), figure(latency.max),
    ]),
  };
}

/** Only the endings and reasons that came about. */
export function endingTable(report: LoadReport): Table {
  const runs = sound(report);
  const endings = ENDINGS.filter((ending) => ending === 'committed' || runs.some(({ run }) => run.endings[ending] > 0));
  const reasons = reasonsOf(runs.map(({ run }) => run));
  return {
    title: 'Endings and reasons', header: ['', ...endings, ...reasons], words: [0],
    rows: runs.map(({ run, label }) => [label, ...endings.map((ending) => count(run.endings[ending])), ...reasons.map((reason) => count(run.reasons[reason] ?? 0))]),
  };
}

/** The commonest first. */
export function reasonsOf(runs: readonly RunReport[]): readonly string[] {
  const totals = new Map<string, number>();
  for (const { reasons } of runs) for (const [reason, n] of Object.entries(reasons)) totals.set(reason, (totals.get(reason) ?? 0) + n);
  return [...totals].filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a).map(([reason]) => reason);
}

/** One percentile after the other: of a single run, there is room for all in a line each. */
export function phaseTable(report: LoadReport): Table {
  const percentiles = ['p50', 'p95', 'p99'] as const;
  const runs = sound(report).filter(({ run }) => run.phases !== null);
  return {
    title: 'Phases of the commit', header: ['ms', '', ...PHASE_NAMES], words: [0, 1],
    rows: runs.flatMap(({ run, label }) => percentiles.map((percentile, i) => [
      i === 0 ? label : '', percentile, ...PHASE_NAMES.map((name) => figure(run.phases!.find((phase) => phase.name === name)?.[percentile] ?? null)),
    ])),
  };
}

export function cpuTable(report: LoadReport): Table {
  const runs = sound(report);
  const names = processNames(runs.map(({ run }) => run));
  return {
    title: 'CPU per transaction', header: ['ms', ...names, 'in all'], words: [0],
    rows: runs.filter(({ run }) => run.processes.length > 0).map(({ run, label }) => [
      label, ...names.map((name) => figure(run.processes.find((each) => each.name === name)?.cpuMsPerTransaction ?? null)), figure(cpuMsInAll(run)),
    ]),
  };
}

export function memoryTable(report: LoadReport): Table {
  const runs = sound(report);
  const names = processNames(runs.map(({ run }) => run));
  return {
    title: 'Most resident memory', header: ['MB', ...names], words: [0],
    rows: runs.filter(({ run }) => run.processes.length > 0).map(({ run, label }) => [label, ...names.map((name) => figure(run.processes.find((each) => each.name === name)?.rssMbMost ?? null))]),
  };
}

export function processNames(runs: readonly RunReport[]): readonly string[] {
  return [...new Set(runs.flatMap(({ processes }) => processes.map(({ name }) => name)))];
}

export function costTable(report: LoadReport): Table {
  return {
    title: 'Costs per transaction', header: ['', ...COSTS.map((cost) => COST_LABELS[cost])], words: [0],
    rows: sound(report).flatMap(({ run: { cost }, label }) => (cost === null ? [] : [[label, ...COSTS.map((name) => figure(cost[name]))]])),
  };
}

/** Each check of each run; broken ones first. */
export function auditTable(report: LoadReport): Table {
  const checks = labelled(report).flatMap(({ run, label }) => run.audit.map((check) => ({ label, ...check })));
  return {
    title: 'Audit', header: ['run', 'check', '', 'found'], words: [0, 1, 2, 3],
    rows: checks.toSorted((a, b) => Number(a.holds) - Number(b.holds)).map(({ label, name, holds, detail }) => [label, name, holds ? 'holds' : 'FAILS', detail]),
  };
}

/** What was the same for all runs, and what each run was asked for. */
export function settingsTable(report: LoadReport): Table {
  return {
    title: 'Settings', words: [0, 1, 2, 6],
    header: ['run', 'way', 'protocol', 'warm-up s', 'measured s', 'workers', 'skew', 'participants', 'refusals asked %', 'payload bytes', 'seed', 'latest start ms'],
    rows: labelled(report).map(({ run: { settings, latestStartMs, warmup }, label }) => {
      const { way, workload, warmupSeconds, seconds, workers, batchSize } = settings;
      return [
        label, way === 'batch' ? `batch of ${batchSize}` : way, workload.protocol, String(warmup?.seconds ?? warmupSeconds), String(seconds), String(workers), typeof workload.skew === 'string' ? workload.skew : `zipf ${workload.skew.zipf}`,
        String(workload.participants), figure(workload.refusalShare * 100), count(workload.payloadBytes), String(workload.seed), settings.loop.kind === 'open' ? figure(latestStartMs) : '',
      ];
    }),
  };
}

/** Lines about where all this was measured. */
export function settingLines({ at, version, machine, environment, rounds }: LoadReport): readonly string[] {
  const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`).join(' ');
  return [
    `${at}, Concordat ${version}${rounds > 1 ? `, ${rounds} rounds in turn` : ''}`,
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryGb} GB, ${machine.os}; Node ${machine.node}, Postgres ${machine.postgres}, Kafka ${machine.kafka}`,
    ...(set === '' ? [] : [`set: ${set}`]),
  ];
}
