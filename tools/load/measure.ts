// Loaded after the build: everything below imports what was built.
import fs from 'node:fs';
import type { DataDir } from '../stack/data-dir.ts';
import { orderOf } from './compare.ts';
import type { MeasureOptions } from './options.ts';
import { versionOf } from './machine.ts';
import { describeKnee, kneeOf, nextRate, type RampStep, stepOf } from './ramp.ts';
import { auditFails } from './report-figures.ts';
import { renderReport } from './report-table.ts';
import { renderReportPage } from './report-page.ts';
import type { LoadReport, RunReport } from './report-types.ts';
import { runOnce, type RunPlace, type RunSetting } from './run.ts';
import type { RunSettings } from './settings.ts';
import { givenStack, startOwnStack } from './stack.ts';
import { windowedStack, wholeAudited } from './windowed-stack.ts';
import { withoutFigures } from './without-figures.ts';

/** A step that is too much does not become steady, however long it warms up. */
const STEP_STRETCH = 3;
const WARMING: RunReport['settings']['loop'] = { kind: 'closed', clients: 64 };

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
  const stack = dataDir === null ? await givenStack(options.target!, process.env, cleanup) : windowedStack(await startOwnStack({ dataDir, options, say, onFatal }, cleanup), cleanup);
  if (stack.databases === null) say('the databases are out of reach: the audit asks the coordinator again for what clients were told, and knows nothing of the books');
  const runSetting: RunSetting = { ...setting, stack, localPool: options.localPool, drainSeconds: options.drainSeconds };
  const { runs, ...ramp } = options.ramp === null ? { runs: await inTurn(options, runSetting) } : await ramped(options, options.ramp, runSetting);
  if (setting.signal.aborted) return 130;
  return conclude(options, stack.machine, await wholeAudited(runs, stack), ramp);
}

/** Tells what was measured, and answers the exit code. */
export function conclude(options: MeasureOptions, machine: LoadReport['machine'], runs: readonly RunReport[], more: Pick<LoadReport, 'knee' | 'held' | 'state'>): number {
  tell({
    format: 1, at: new Date().toISOString(), version: versionOf(), machine, environment: options.environment,
    runs: runs.map((run) => (auditFails(run) ? withoutFigures(run) : run)), rounds: options.rounds, ...more,
  }, options);
  // A ramp ends with what is too much: there, outcomes may stay unknown.
  return runs.some((run, i) => auditFails(run) || ((options.ramp === null || i === more.held?.run) && run.endings.unknown > 0)) ? 1 : 0;
}

/** Ends with the first run whose books do not balance: they are those of all runs after it, too. */
async function inTurn({ configurations, rounds, target }: MeasureOptions, setting: RunSetting): Promise<readonly RunReport[]> {
  const pairs = configurations.map((settings) => ({ settings, setting }));
  // Somebody else's stack is as warm as it is.
  return target === null && pairs.length * rounds > 1 ? warmThenRun(pairs, rounds) : runAll(pairs, rounds);
}

/** A configuration, and the stack that it is measured on. */
export interface Pair {
  readonly settings: RunSettings;
  readonly setting: RunSetting;
}

/**
 * Programs that have just been started are several times slower, and the warm-up of a run is too short to make up for it: whoever came
 * first would pay for all. So each way and protocol is used once by a closed loop, which is not reported.
 */
export async function warmThenRun(pairs: readonly Pair[], rounds: number): Promise<readonly RunReport[]> {
  const kinds = new Map(pairs.map((pair) => [`${pair.settings.way} ${pair.settings.workload.protocol} ${pair.setting.stack.label ?? ''}`, pair]));
  for (const { settings, setting } of kinds.values()) {
    const failed = await warmUp(settings, setting);
    if (failed !== null) return [failed];
  }
  return runAll(pairs, rounds);
}

/** Null, or a run that shall be reported: its books do not balance, or it was stopped. */
async function warmUp(settings: RunSettings, setting: RunSetting): Promise<RunReport | null> {
  if (settings.warmupSeconds === 0) return null;
  const run = await runOnce({ ...settings, loop: WARMING, seconds: settings.warmupSeconds, warmupSeconds: 0 }, { run: 0, of: null, round: 0 }, setting);
  return setting.signal.aborted || auditFails(run) ? run : null;
}

async function runAll(pairs: readonly Pair[], rounds: number): Promise<readonly RunReport[]> {
  const order = orderOf(pairs.length, rounds);
  const runs: RunReport[] = [];
  for (const place of order) {
    const { settings, setting } = pairs[place]!;
    const run = await runOnce(settings, { run: runs.length + 1, of: order.length, round: Math.floor(runs.length / pairs.length) }, setting);
    runs.push(run);
    if (setting.signal.aborted || auditFails(run)) break;
    setting.say(summaryOf(run));
  }
  return runs;
}

async function ramped({ configurations }: MeasureOptions, { factor, held }: NonNullable<MeasureOptions['ramp']>, setting: RunSetting): Promise<Pick<LoadReport, 'runs' | 'knee' | 'held'>> {
  const [first] = configurations;
  const runs: RunReport[] = [];
  const steps: RampStep[] = [];
  // The first step is to tell what it does unloaded, not what it does cold.
  const failed = await warmUp(first!, setting);
  if (failed !== null) return { runs: [failed] };
  const at = (ratePerSecond: number): RunSettings => ({ ...first!, loop: { kind: 'open', ratePerSecond } });
  const place = (): RunPlace => ({ run: runs.length + 1, of: null, round: 0 });
  for (let rate = first!.loop.kind === 'open' ? first!.loop.ratePerSecond : null; rate !== null; rate = nextRate(steps, factor)) {
    const run = await runOnce(at(rate), place(), { ...setting, stretch: STEP_STRETCH });
    runs.push(run);
    if (setting.signal.aborted || auditFails(run)) return { runs };
    steps.push(stepOf(run));
    setting.say(summaryOf(run));
  }
  const knee = kneeOf(steps);
  setting.say(describeKnee(knee));
  if (held === null || knee.ratePerSecond === null) return { runs, knee };
  const run = await runOnce({ ...at(Math.max(1, Math.round(knee.ratePerSecond * held.share))), seconds: held.seconds }, place(), setting);
  return { runs: [...runs, run], knee, held: { share: held.share, run: runs.length } };
}

function summaryOf({ name, perSecond, latency, endings }: RunReport): string {
  return `${name}: ${perSecond.toFixed(1)}/s, p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms${endings.unknown === 0 ? '' : `, ${endings.unknown} unknown`}`;
}

function tell(report: LoadReport, { json, html }: Pick<MeasureOptions, 'json' | 'html'>): void {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (json === '-') process.stdout.write(text);
  else process.stdout.write(`${renderReport(report)}\n`);
  if (json !== null && json !== '-') fs.writeFileSync(json, text);
  if (html !== null) fs.writeFileSync(html, renderReportPage(report));
}
