import { compareTable } from './report-compare.ts';
import { auditFails, BASES_SAID, cautions, cpuMsInAll, endingsInAll, labelled, type Labelled, loadName } from './report-figures.ts';
import { heldTable, rampTable } from './report-ramp.ts';
import { stateTable } from './report-state.ts';
import { costTable, cpuTable, endingTable, hasBases, latencyTable, memoryTable, PHASE_NAMES, phaseTable, settingLines, summaryTable, type Table } from './report-rows.ts';
import type { LoadReport, RunReport } from './report-types.ts';
import { count, figure, percent } from '../report/numbers.ts';
import { table } from '../report/text.ts';

/** For a terminal. Of a run whose audit fails there are no figures, only what broke. */
export function renderReport(report: LoadReport): string {
  const runs = labelled(report);
  const only = runs.length === 1 ? runs[0]! : null;
  return [
    ...settingLines(report),
    ...runs.filter(({ run }) => auditFails(run)).flatMap(failureLines),
    ...[rampTable(report), heldTable(report), stateTable(report)].flatMap((of) => (of === null ? [] : section(of))),
    ...(only === null ? severalRuns(report, runs) : oneRun(only, report)),
  ].join('\n');
}

/** @returns for one run whose audit fails, nothing: that has been said */
function oneRun({ run }: Labelled, report: LoadReport): readonly string[] {
  if (auditFails(run)) return [];
  return [
    '',
    ...headLines(run),
    ...section(endingTable(report)),
    ...section(latencyTable(report)),
    ...(run.phases === null ? [] : ['', 'Phases of the commit', ...table(['ms', 'p50', 'p95', 'p99'], PHASE_NAMES.flatMap((name) => {
      const phase = run.phases!.find((each) => each.name === name);
      return phase === undefined ? [] : [[name, figure(phase.p50), figure(phase.p95), figure(phase.p99)]];
    }))]),
    ...(run.processes.length === 0 ? [] : ['', 'Processes', ...table(['', 'CPU s', 'CPU ms/tx', 'most MB'], [
      ...run.processes.map((each) => [each.name, figure(each.cpuSeconds), figure(each.cpuMsPerTransaction), figure(each.rssMbMost)]),
      ...(cpuMsInAll(run) === null ? [] : [['in all', figure(run.processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)), figure(cpuMsInAll(run)), '']]),
    ])]),
    ...section(costTable(report)),
    '',
    auditLine([run]),
  ];
}

function headLines(run: RunReport): readonly string[] {
  const { name, settings: { loop, seconds, warmupSeconds, workers }, warmup, perSecond } = run;
  const offered = loop.kind === 'open' ? `, ${percent(perSecond / loop.ratePerSecond)} of the ${loadName(run)} offered` : ` from ${loadName(run)} in a closed loop`;
  return [
    name,
    `  ${figure(perSecond)}/s ended${offered}; ${count(endingsInAll(run))} in ${seconds} s after ${warmup?.seconds ?? warmupSeconds} s of warm-up, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    ...(loop.kind === 'open' ? [`  latest start of an arrival: ${figure(run.latestStartMs)} ms after its time`] : []),
    ...cautions(run).map((said) => `  ! ${said}`),
  ];
}

/** Of rounds only the comparison and the runs: the rest of each round is on the page, and would bury them here. */
function severalRuns(report: LoadReport, runs: readonly Labelled[]): readonly string[] {
  const believed = runs.filter(({ run }) => !auditFails(run));
  return [
    ...(report.rounds > 1 ? ['', compareTable(report)] : []),
    ...section(summaryTable(report)),
    ...(hasBases(report) ? [BASES_SAID] : []),
    ...believed.flatMap(({ run, label }) => cautions(run).map((said) => `  ! ${label}: ${said}`)),
    ...(report.rounds > 1 ? [] : [latencyTable, endingTable, phaseTable, cpuTable, memoryTable, costTable].flatMap((of) => section(of(report)))),
    ...(believed.length === 0 ? [] : ['', auditLine(believed.map(({ run }) => run))]),
  ];
}

/** Nothing where there is nothing to tell. */
function section({ title, header, rows }: Table): readonly string[] {
  return rows.length === 0 ? [] : ['', title, ...table(header, rows)];
}

function failureLines({ run, label }: Labelled): readonly string[] {
  return ['', `AUDIT FAILS: ${label}; no figures of this run, for they would be those of something else`, ...run.audit.filter(({ holds }) => !holds).map(({ name, detail }) => `  ${name}: ${detail}`)];
}

function auditLine(runs: readonly RunReport[]): string {
  const checks = new Set(runs.flatMap(({ audit }) => audit.map(({ name }) => name)));
  const unaudited = runs.filter(({ audit }) => audit.length === 0).length;
  if (unaudited === runs.length) return 'audit: not made';
  return `audit: ${checks.size} ${checks.size === 1 ? 'check holds' : 'checks hold'}${runs.length === 1 ? '' : ` in ${runs.length - unaudited} runs`} (${[...checks].join('; ')})${unaudited === 0 ? '' : `; not made in ${unaudited}`}`;
}
