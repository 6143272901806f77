/** `npm run simulate`: campaigns of seeds, and single runs told. */
import { Campaign, type CampaignPlan, type Worker } from './campaign.js';
import { campaignJson, campaignText, type Finished } from './campaign-report.js';
import { campaignLine, Progress, type ProgressStream } from './progress.js';
import { parseSimulateOptions, SIMULATE_HELP, type Job, type SimulateOptions, type Task } from './simulate-options.js';
import { hereWorker, seedThread } from './threads.js';
import { defaultPage, replay, replayDriver, staged, toldJson, toldText, writePage, type ToldRun } from './told-run.js';

interface Output {
  write(text: string): unknown;
}

/** So many that the hand-over costs nothing, and so few that progress shows. A run of the driver takes much longer. */
const SLICE = 250;
const DRIVER_SLICE = 10;

/** Tells what was found so far, when this is stopped from outside. */
let tellSoFar: () => void = () => {};

export function onStop(): void {
  tellSoFar();
}

/** @returns the exit code */
export async function main(
  argv: readonly string[], out: Output = process.stdout, progress: ProgressStream = process.stderr, startWorker: (job: Job) => Worker = seedThread,
): Promise<number> {
  const options = parseSimulateOptions(argv);
  if (options === 'help') {
    out.write(SIMULATE_HELP);
    return 0;
  }
  const { job, task, json } = options;
  if (task.kind === 'campaign') return campaign(options, task, out, progress, startWorker);
  const run = task.kind === 'schedule' ? staged(job, task.name) : job.driver ? await replayDriver(job, task.seed) : replay(job, task.seed);
  return tell(run, task.page ?? defaultPage(run), json, out);
}

function tell(run: ToldRun, pageFile: string, json: boolean, out: Output): number {
  writePage(run, pageFile);
  out.write(json ? `${JSON.stringify(toldJson(run, pageFile))}\n` : toldText(run, pageFile));
  return run.violation === null ? 0 : 1;
}

async function campaign(
  { job, json }: SimulateOptions, { firstSeed, runs, workers }: Extract<Task, { kind: 'campaign' }>, out: Output, stream: ProgressStream, startWorker: (job: Job) => Worker,
): Promise<number> {
  const progress = new Progress(stream);
  const began = performance.now();
  const plan: CampaignPlan = { firstSeed, runs, sliceSize: job.driver ? DRIVER_SLICE : SLICE, keepGoing: job.keepGoing };
  const running = new Campaign(plan, (done, violations) => progress.show((elapsedMs) => campaignLine(done, runs, violations, elapsedMs)));
  const report = (result: Finished['result'], stopped: boolean): void => {
    progress.end();
    const finished: Finished = { job, firstSeed, workers, elapsedMs: performance.now() - began, stopped, result };
    out.write(json ? `${JSON.stringify(campaignJson(finished))}\n` : campaignText(finished));
  };
  tellSoFar = () => {
    const result = running.soFar();
    if (result !== null) report(result, true);
  };
  const needed = Math.min(workers, Math.ceil(runs / plan.sliceSize));
  const result = await running.run(needed === 1 ? [hereWorker(job)] : Array.from({ length: needed }, () => startWorker(job)));
  tellSoFar = () => {};
  report(result, false);
  return result.violations.length === 0 ? 0 : 1;
}
