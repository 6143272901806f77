/** `npm run check`: the exhaustive checker. */
import { DEFAULT_BOUNDS, type Bounds, type CheckProgress, type CheckResult } from '#libs/simulator';
import { runCheckInThread, type RunCheck } from './check-job.js';
import { CHECK_HELP, parseCheckOptions, type CheckJob, type CheckOptions } from './check-options.js';
import { duration, grouped } from './numbers.js';
import { Progress, type ProgressStream } from './progress.js';
import { PROTOCOL_TITLES, writePage } from './told-run.js';

interface Output {
  write(text: string): unknown;
}

/** Tells how far the search got, when this is stopped from outside. */
let tellSoFar: () => void = () => {};

export function onStop(): void {
  tellSoFar();
}

/** @returns the exit code */
export async function main(argv: readonly string[], out: Output = process.stdout, stream: ProgressStream = process.stderr, run: RunCheck = runCheckInThread): Promise<number> {
  const options = parseCheckOptions(argv);
  if (options === 'help') {
    out.write(CHECK_HELP);
    return 0;
  }
  const reports: object[] = [];
  for (const job of options.jobs) reports.push(await checkOne(job, options, argv, out, stream, run));
  if (options.json) out.write(`${JSON.stringify(reports.length === 1 ? reports[0] : { checks: reports })}\n`);
  return reports.every((report) => (report as Report).violation === null) ? 0 : 1;
}

/** What `--json` prints of a check. */
type Report = ReturnType<typeof plain>;

async function checkOne(job: CheckJob, { json, page }: CheckOptions, argv: readonly string[], out: Output, stream: ProgressStream, run: RunCheck): Promise<Report> {
  const progress = new Progress(stream);
  const began = performance.now();
  let latest: CheckProgress | null = null;
  tellSoFar = () => {
    progress.end();
    if (latest !== null) out.write(json ? `${JSON.stringify({ protocol: job.protocol, ...(job.name !== null && { preset: job.name }), stopped: true, ...latest })}\n` : `stopped: ${progressLine(latest, performance.now() - began)}\n`);
  };
  const result = await run(job, (now) => {
    latest = now;
    progress.show((elapsedMs) => progressLine(now, elapsedMs));
  });
  tellSoFar = () => {};
  progress.end();
  const elapsedMs = performance.now() - began;
  const pageFile = result.violation === null ? null : page ?? `.concordat/simulations/check-${job.name ?? job.protocol}.html`;
  if (pageFile !== null) pageOf(job, result, argv, pageFile);
  if (!json) out.write(textReport(job, result, elapsedMs, pageFile));
  return plain(job, result, elapsedMs, pageFile);
}

function progressLine({ states, transitions, depth, waiting }: CheckProgress, elapsedMs: number): string {
  return `${grouped(states)} states, ${grouped((states * 1000) / Math.max(1, elapsedMs))} per second, depth ${depth}, ${grouped(transitions)} transitions, ${grouped(waiting)} states waiting`;
}

function pageOf({ protocol, mutant, votes }: CheckJob, { violation }: CheckResult, argv: readonly string[], file: string): void {
  writePage({
    name: `check-${protocol}`, title: `${PROTOCOL_TITLES[protocol]}${mutant === null ? '' : ` (broken: ${mutant})`}, shortest counterexample`,
    facts: [['votes', votes.join(', ')], ['time', 'one unit for each transition']], command: `npm run check -- ${argv.map(quoted).join(' ')}`,
    violation: violation!.text, outcomes: [], events: violation!.events,
  }, file);
}

function quoted(word: string): string {
  return /\s/.test(word) ? `"${word}"` : word;
}

function plain({ name, protocol, mutant, votes }: CheckJob, { states, transitions, depth, healed, exhausted, violation, bounds }: CheckResult, elapsedMs: number, pageFile: string | null) {
  return {
    protocol, ...(name !== null && { preset: name }), ...(mutant !== null && { mutant }), votes, bounds, seconds: Math.round(elapsedMs) / 1000,
    states, transitions, depth, healed, exhausted, violation: violation === null ? null : { ...violation, page: pageFile },
  };
}

function textReport({ name, protocol, mutant, votes }: CheckJob, result: CheckResult, elapsedMs: number, pageFile: string | null): string {
  const { states, transitions, depth, healed, exhausted, violation, bounds } = result;
  const title = `${name ?? protocol}${mutant === null ? '' : ` (${mutant})`}, ${votes.length} ${protocol === 'saga' ? 'steps' : 'participants'}`;
  const reach = exhausted ? 'every state within the bounds was visited' : violation === null ? `NOT every state: the search gave up at --max-states ${bounds.mostStates}` : 'the search ended at the violation';
  return `${[
    `${title}: ${grouped(states)} states, depth ${depth}, ${duration(elapsedMs)}`,
    `  ${grouped(transitions)} transitions, ${grouped(healed)} continuations without faults followed to their end; ${reach}`,
    `  bounds: ${boundsText(bounds)}`,
    ...(violation === null ? ['  0 violations'] : ['', `VIOLATION ${violation.text}`, '', violation.transcript.trimEnd(), '', `page: ${pageFile}`]),
  ].join('\n')}\n`;
}

function boundsText(bounds: Bounds): string {
  return (Object.keys(DEFAULT_BOUNDS) as (keyof Bounds)[]).map((name) => `${name} ${textOf(bounds[name])}`).join(', ');
}

function textOf(bound: Bounds[keyof Bounds]): string {
  if (typeof bound !== 'object') return String(bound);
  return Object.entries(bound).map(([name, value]) => (Array.isArray(bound) ? String(value) : `${name}=${value}`)).join(' ') || 'none';
}
