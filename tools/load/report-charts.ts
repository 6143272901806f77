// The plots of a page. All are given runs whose audit does not fail.
import { COMPARED, type Group, spreadOfMeasure } from './report-compare.ts';
import { auditFails, ENDINGS, type Labelled, labelled, MEASURES } from './report-figures.ts';
import { LAST_PERCENTILE, percentileCurve } from './report-histogram.ts';
import { COST_LABELS, COSTS, PHASE_NAMES, processNames, reasonsOf } from './report-rows.ts';
import type { Cost, LoadReport, RunReport, Second } from './report-types.ts';
import { percentileAxis, timeAxis } from '../report/axis.ts';
import { barsSvg } from '../report/bars.ts';
import { percent } from '../report/numbers.ts';
import { type Line, plotSvg } from '../report/plot.ts';
import { styleOf } from '../report/svg.ts';

/** Above it, a linear scale would press the faster runs to the ground. */
const FAR_APART = 20;

/** A run with its colour: the rounds of one name have the same, and stand together. */
export interface Shown extends Labelled {
  readonly style: string;
}

export function shownRuns(report: LoadReport): readonly Shown[] {
  const names = [...new Set(report.runs.map(({ name }) => name))];
  const place = ({ run: { name } }: Labelled): number => names.indexOf(name);
  return labelled(report).filter(({ run }) => !auditFails(run)).toSorted((a, b) => place(a) - place(b)).map((each) => ({ ...each, style: styleOf(place(each)) }));
}

export function percentilePlot(shown: readonly Shown[]): string {
  const lines = shown.map(({ run, style }): Line => ({ name: run.name, style, points: percentileCurve(run.histogram) }));
  const values = lines.flatMap(({ points }) => points.map(([, ms]) => ms!)).filter((ms) => ms > 0);
  const end = Math.max(90, ...lines.flatMap(({ points }) => points.at(-1)?.[0] ?? []));
  return plotSvg({
    title: 'Latency by percentile', unit: 'ms', kind: 'lines', scale: Math.max(...values) > Math.min(...values) * FAR_APART ? 'log' : 'linear', lines, height: 300, hover: true,
  }, percentileAxis(Math.min(LAST_PERCENTILE, end)));
}

/** Of a closed loop, what ends after the measured time are the last answers: it looks like a breakdown and is none. */
function secondsOf({ bySecond, settings: { loop, seconds } }: RunReport): readonly Second[] {
  return loop.kind === 'open' ? bySecond : bySecond.filter(({ second }) => second < seconds);
}

/** Of a single run, what ended and what was refused piled up; of several, a line for each. */
export function timePlots(shown: readonly Shown[]): readonly string[] {
  const axis = timeAxis(Math.max(1, ...shown.flatMap(({ run }) => secondsOf(run).map(({ second }) => second + 1))) * 1000);
  const points = (run: RunReport, pick: (second: Second) => number | null): Line['points'] => secondsOf(run).map((second) => [second.second * 1000 + 500, pick(second)]);
  const each = (title: string, unit: string, pick: (second: Second) => number | null): string => plotSvg({
    title, unit, kind: 'lines', scale: unit === 'ms' ? 'log' : 'linear', lines: shown.map(({ run, style }) => ({ name: run.name, style, points: points(run, pick) })), hover: true,
  }, axis);
  const hasRefused = shown.some(({ run }) => run.bySecond.some(({ refused }) => refused > 0));
  if (shown.length > 1) {
    return [
      each('Ended per second', '/s', ({ ended }) => ended),
      ...(hasRefused ? [each('Refused per second', '/s', ({ refused }) => refused)] : []),
      each('p50 of each second', 'ms', ({ p50Ms }) => p50Ms),
      each('p99 of each second', 'ms', ({ p99Ms }) => p99Ms),
    ];
  }
  return shown.flatMap(({ run }) => [
    plotSvg({
      title: 'Answers per second', unit: '/s', kind: 'stack', scale: 'linear', hover: true,
      lines: [{ name: 'ended', style: 'good', points: points(run, ({ ended }) => ended) }, ...(hasRefused ? [{ name: 'refused', style: 'warn', points: points(run, ({ refused }) => refused) }] : [])],
    }, axis),
    plotSvg({
      title: 'Latency of each second', unit: 'ms', kind: 'lines', scale: 'log', hover: true,
      lines: [{ name: 'p50', style: 's0', points: points(run, ({ p50Ms }) => p50Ms) }, { name: 'p99', style: 's1', points: points(run, ({ p99Ms }) => p99Ms) }],
    }, axis),
  ]);
}

/** Medians do not add up to the median of the whole, nor p99s: the bars say where the time goes, not how long it takes. */
export function phaseBars(shown: readonly Shown[]): readonly string[] {
  const runs = shown.filter(({ run }) => run.phases !== null);
  if (runs.length === 0) return [];
  return (['p50', 'p99'] as const).map((percentile) => barsSvg({
    title: `Phases of the commit, ${percentile} of each`, unit: 'ms', kind: 'stack', half: true, categories: runs.map(({ label }) => label), ends: runs.map(() => ''),
    series: PHASE_NAMES.map((name, i) => ({ name, style: styleOf(i), values: runs.map(({ run }) => run.phases!.find((phase) => phase.name === name)?.[percentile] ?? null) })),
  }));
}

/** Shares of all that was asked for: what was not committed is told by its reason, as far as there is one. */
export function outcomeBars(shown: readonly Shown[]): string {
  const runs = shown.map(({ run }) => run);
  const share = (run: RunReport, n: number): number => n / Math.max(1, ENDINGS.reduce((sum, ending) => sum + run.endings[ending], 0));
  const explained = ({ reasons }: RunReport): number => Object.values(reasons).reduce((sum, n) => sum + n, 0);
  const of = (name: string, style: string, n: (run: RunReport) => number) => ({ name, style, values: runs.map((run) => share(run, n(run))) });
  return barsSvg({
    title: 'Outcomes by reason (at the end: committed)', unit: '', kind: 'stack', format: percent, categories: shown.map(({ label }) => label),
    ends: runs.map((run) => `${(share(run, run.endings.committed) * 100).toFixed(1)} %`),
    series: [
      of('committed', 'good', ({ endings }) => endings.committed),
      ...reasonsOf(runs).map((reason, i) => of(reason, styleOf(i + 1), ({ reasons }) => reasons[reason] ?? 0)),
      of('aborted or refused without a reason', 'warn', (run) => Math.max(0, run.endings.aborted + run.endings.refused - explained(run))),
      of('unknown', 'bad', ({ endings }) => endings.unknown),
      of('not sent', 'soft', ({ endings }) => endings.shed),
    ],
  });
}

export function processBars(shown: readonly Shown[]): readonly string[] {
  const runs = shown.filter(({ run }) => run.processes.length > 0);
  if (runs.length === 0) return [];
  const names = processNames(runs.map(({ run }) => run));
  const bars = (title: string, unit: string, pick: 'cpuMsPerTransaction' | 'rssMbMost'): string => barsSvg({
    title, unit, kind: 'stack', half: true, categories: runs.map(({ label }) => label),
    series: names.map((name, i) => ({ name, style: styleOf(i), values: runs.map(({ run }) => run.processes.find((each) => each.name === name)?.[pick] ?? null) })),
  });
  return [bars('CPU per transaction', 'ms', 'cpuMsPerTransaction'), bars('Most resident memory', 'MB', 'rssMbMost')];
}

const COUNTED: readonly (keyof Cost)[] = ['coordinatorFlushes', 'databaseTransactions', 'walSyncs'];

/** What is counted beside each other, and bytes beside each other. */
export function costBars(shown: readonly Shown[]): readonly string[] {
  const runs = shown.filter(({ run }) => run.cost !== null);
  if (runs.length === 0) return [];
  const bars = (title: string, unit: string, costs: readonly (keyof Cost)[]): string => barsSvg({
    title, unit, kind: 'group', half: true, categories: runs.map(({ label }) => label),
    series: costs.map((cost) => ({ name: COST_LABELS[cost], style: styleOf(COSTS.indexOf(cost)), values: runs.map(({ run }) => run.cost![cost]) })),
  });
  return [bars('Flushes and transactions, each transaction', '', COUNTED), bars('Bytes, each transaction', 'bytes', COSTS.filter((cost) => !COUNTED.includes(cost)))];
}

/** Medians of the rounds, with whiskers from the least to the most. */
export function comparisonBars(groups: readonly Group[]): readonly string[] {
  const known = groups.filter(({ rounds }) => rounds.some((run) => run !== null));
  return COMPARED.map((measure, i) => {
    const spreads = known.map((group) => spreadOfMeasure(group, measure));
    return barsSvg({
      title: `${MEASURES[measure].label}: median, least and most of the rounds`, unit: '', kind: 'group', half: true, categories: known.map(({ name }) => name),
      series: [{ name: MEASURES[measure].label, style: styleOf(i), values: spreads.map((spread) => spread?.median ?? null), ranges: spreads.map((spread) => (spread === null ? null : [spread.min, spread.max])) }],
    });
  });
}
