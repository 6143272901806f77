// Loaded after the build: everything below imports what was built.
import fs from 'node:fs';
import type { DataDir } from '../stack/data-dir.ts';
import { orderOf } from './compare.ts';
import type { MeasureOptions } from './options.ts';
import { versionOf } from './machine.ts';
import { describeKnee, kneeOf, nextRate, type RampStep } from './ramp.ts';
import { auditFails } from './report-figures.ts';
import { renderReport } from './report-table.ts';
import { renderReportPage } from './report-page.ts';
import type { LoadReport, RunReport } from './report-types.ts';
import { runOnce, type RunSetting } from './run.ts';
import { givenStack, startOwnStack } from './stack.ts';
import { withoutFigures } from './without-figures.ts';

export interface MeasureSetting {
  /** Null: the stack is somebody else's. */
  readonly dataDir: DataDir | null;
  readonly say: (line: string) => void;
  readonly isTerminal: boolean;
  readonly signal: AbortSignal;
  readonly onFatal: (error: Error) => void;
  /** Is given what has to be undone, in order. */
  readonly cleanup: (() => Promise<void>)[];
}

/** Answers the exit code: 1 when the books of a run do not balance, or when an outcome stayed unknown. */
export async function measure(options: MeasureOptions, setting: MeasureSetting): Promise<number> {
  const { dataDir, say, cleanup, onFatal } = setting;
  if (dataDir !== null) say('starting PostgreSQL, Kafka and the services ...');
  const stack = dataDir === null ? await givenStack(options.target!, process.env, cleanup) : await startOwnStack({ dataDir, options, say, onFatal }, cleanup);
  if (stack.databases === null) say('the databases are out of reach: the audit asks the coordinator again for what clients were told, and knows nothing of the books');
  const runSetting: RunSetting = { ...setting, stack, localPool: options.localPool, drainSeconds: options.drainSeconds };
  const { runs, knee } = options.ramp === null ? { runs: await inTurn(options, runSetting), knee: undefined } : await ramped(options, options.ramp.factor, runSetting);
  if (setting.signal.aborted) return 130;
  const report: LoadReport = {
    format: 1, at: new Date().toISOString(), version: versionOf(), machine: stack.machine, environment: options.environment,
    runs: runs.map((run) => (auditFails(run) ? withoutFigures(run) : run)), rounds: options.rounds, ...(knee === undefined ? {} : { knee }),
  };
  tell(report, options);
  // A ramp ends with what is too much: there, outcomes may stay unknown.
  return runs.some((run) => auditFails(run) || (options.ramp === null && run.endings.unknown > 0)) ? 1 : 0;
}

/** Ends with the first run whose books do not balance: they are those of all runs after it, too. */
async function inTurn({ configurations, rounds }: MeasureOptions, setting: RunSetting): Promise<readonly RunReport[]> {
  const order = orderOf(configurations.length, rounds);
  const runs: RunReport[] = [];
  for (const place of order) {
    const run = await runOnce(configurations[place]!, { run: runs.length + 1, of: order.length }, setting);
    runs.push(run);
    if (setting.signal.aborted || auditFails(run)) break;
    setting.say(summaryOf(run));
  }
  return runs;
}

async function ramped({ configurations }: MeasureOptions, factor: number, setting: RunSetting): Promise<{ readonly runs: readonly RunReport[]; readonly knee?: LoadReport['knee'] }> {
  const [first] = configurations;
  const runs: RunReport[] = [];
  const steps: RampStep[] = [];
  for (let rate = first!.loop.kind === 'open' ? first!.loop.ratePerSecond : null; rate !== null; rate = nextRate(steps, factor)) {
    const run = await runOnce({ ...first!, loop: { kind: 'open', ratePerSecond: rate } }, { run: runs.length + 1, of: null }, setting);
    runs.push(run);
    if (setting.signal.aborted || auditFails(run)) return { runs };
    steps.push({ ratePerSecond: rate, achieved: run.perSecond, p50: run.latency.p50, p99: run.latency.p99 });
    setting.say(summaryOf(run));
  }
  return { runs, knee: kneeOf(steps) };
}

function summaryOf({ name, perSecond, latency, endings }: RunReport): string {
  return `${name}: ${perSecond.toFixed(1)}/s, p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms${endings.unknown === 0 ? '' : `, ${endings.unknown} unknown`}`;
}

function tell(report: LoadReport, { json, html }: Pick<MeasureOptions, 'json' | 'html'>): void {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (json === '-') process.stdout.write(text);
  else process.stdout.write(`${renderReport(report)}\n${report.knee === undefined ? '' : `\n${describeKnee(report.knee)}\n`}`);
  if (json !== null && json !== '-') fs.writeFileSync(json, text);
  if (html !== null) fs.writeFileSync(html, renderReportPage(report));
}
