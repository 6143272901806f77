// A ramp: its steps in the order of their rates, and where the knee is.
import { describeKnee, isTooMuch, stepOf } from './ramp.ts';
import { auditFails, percentileOf } from './report-figures.ts';
import type { Table } from './report-rows.ts';
import type { Knee, LoadReport, RunReport } from './report-types.ts';
import { linearAxis } from '../report/axis.ts';
import { count, figure, percent } from '../report/numbers.ts';
import { type Line, plotSvg } from '../report/plot.ts';

interface Step {
  readonly rate: number;
  readonly run: RunReport;
}

function stepsOf({ runs, held }: LoadReport): readonly Step[] {
  return runs.filter((run, i) => !auditFails(run) && i !== held?.run).flatMap((run) => (run.settings.loop.kind === 'open' ? [{ rate: run.settings.loop.ratePerSecond, run }] : [])).toSorted((a, b) => a.rate - b.rate);
}

/** Null: this is no ramp. */
export function rampTable(report: LoadReport): Table | null {
  const { knee } = report;
  if (knee === undefined) return null;
  return {
    title: describeKnee(knee), header: ['offered /s', 'ended /s', 'of offered', 'p50 ms', 'p99 ms', 'open at the end', ''], words: [6],
    rows: stepsOf(report).map(({ rate, run }) => [
      count(rate), figure(run.perSecond), percent(run.perSecond / rate), figure(percentileOf(run.latency, 'p50')), figure(percentileOf(run.latency, 'p99')), count(leftOpen(run)), verdict(run, knee),
    ]),
  };
}

/** What the latencies are below the knee; null: nothing was held there, or its books do not balance. */
export function heldTable({ runs, held }: LoadReport): Table | null {
  const run = held === undefined ? undefined : runs[held.run];
  if (run === undefined || auditFails(run) || run.settings.loop.kind !== 'open') return null;
  const { settings: { loop, seconds, warmupSeconds }, warmup, perSecond, latency } = run;
  const [p50, p99] = [percentileOf(latency, 'p50'), percentileOf(latency, 'p99')];
  return {
    title: `Held at ${percent(held!.share)} of the knee for ${seconds} s`, header: ['offered /s', 'ended /s', 'p50 ms', 'p99 ms', 'p99 / p50', 'warm-up s', 'steady'], words: [6],
    rows: [[
      count(loop.ratePerSecond), figure(perSecond), figure(p50), figure(p99), figure(p50 === null || p99 === null ? null : p99 / p50), String(warmup?.seconds ?? warmupSeconds), warmup?.steady === false ? 'no' : 'yes',
    ]],
  };
}

/** What was to end and had not when the measured time was over. */
function leftOpen({ endings, perSecond, settings: { seconds } }: RunReport): number {
  return Math.max(0, Math.round(endings.committed + endings.aborted + endings.unknown - perSecond * seconds));
}

function verdict(run: RunReport, knee: Knee): string {
  const step = stepOf(run);
  if (step.ratePerSecond === knee.ratePerSecond) return 'the knee';
  return isTooMuch(step, knee.unloadedP50Ms) ? 'too much' : 'kept up';
}

/** Over the offered rate: what ended, and how long it took. The knee lies in the band. */
export function rampPlots(report: LoadReport): readonly string[] {
  const steps = stepsOf(report);
  const { knee } = report;
  if (knee === undefined || steps.length === 0) return [];
  const most = steps.at(-1)!.rate;
  const axis = linearAxis(most, '/s');
  const bands = knee.ratePerSecond === null ? [] : [{ fromMs: knee.ratePerSecond, toMs: knee.tooMuch ?? knee.ratePerSecond, label: 'knee', title: describeKnee(knee) }];
  const line = (name: string, style: string, of: (step: Step) => number | null): Line => ({ name, style, points: steps.map((step) => [step.rate, of(step)]) });
  return [
    plotSvg({
      title: 'Ended per second over the offered rate', unit: '/s', kind: 'lines', scale: 'linear', hover: true,
      lines: [line('offered', 's4 dashed', ({ rate }) => rate), line('ended', 'good', ({ run }) => run.perSecond)],
    }, axis, bands),
    plotSvg({
      title: 'Latency over the offered rate', unit: 'ms', kind: 'lines', scale: 'log', hover: true,
      lines: [line('p50', 's0', ({ run }) => percentileOf(run.latency, 'p50')), line('p99', 's1', ({ run }) => percentileOf(run.latency, 'p99'))],
    }, axis, bands),
  ];
}
