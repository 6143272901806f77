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
  const progress = new Progress(stream);
  const began = performance.now();
  let latest: CheckProgress | null = null;
  tellSoFar = () => {
    progress.end();
    if (latest !== null) out.write(options.json ? `${JSON.stringify({ protocol: options.job.protocol, stopped: true, ...latest })}\n` : `stopped: ${progressLine(latest, performance.now() - began)}\n`);
  };
  const result = await run(options.job, (now) => {
    latest = now;
    progress.show((elapsedMs) => progressLine(now, elapsedMs));
  });
  tellSoFar = () => {};
  progress.end();
  const pageFile = result.violation === null ? null : options.page ?? `.concordat/simulations/check-${options.job.protocol}.html`;
  if (pageFile !== null) pageOf(options.job, result, argv, pageFile);
  report(options, result, performance.now() - began, pageFile, out);
  return result.violation === null ? 0 : 1;
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

function report({ job, json }: CheckOptions, result: CheckResult, elapsedMs: number, pageFile: string | null, out: Output): void {
  const { states, transitions, depth, healed, exhausted, violation, bounds } = result;
  if (json) {
    out.write(`${JSON.stringify({
      protocol: job.protocol, ...(job.mutant !== null && { mutant: job.mutant }), votes: job.votes, bounds, seconds: Math.round(elapsedMs) / 1000, states, transitions, depth, healed, exhausted,
      violation: violation === null ? null : { ...violation, page: pageFile },
    })}\n`);
    return;
  }
  const title = `${job.protocol}${job.mutant === null ? '' : ` (${job.mutant})`}, ${job.votes.length} ${job.protocol === 'saga' ? 'steps' : 'participants'}`;
  const reach = exhausted ? 'every state within the bounds was visited' : violation === null ? `NOT every state: the search gave up at --max-states ${bounds.mostStates}` : 'the search ended at the violation';
  out.write([
    `${title}: ${grouped(states)} states, depth ${depth}, ${duration(elapsedMs)}`,
    `  ${grouped(transitions)} transitions, ${grouped(healed)} continuations without faults followed to their end; ${reach}`,
    `  bounds: ${boundsText(bounds)}`,
    ...(violation === null ? ['  0 violations'] : ['', `VIOLATION ${violation.text}`, '', violation.transcript.trimEnd(), '', `page: ${pageFile}`]),
  ].join('\n') + '\n');
}

function boundsText(bounds: Bounds): string {
  return (Object.keys(DEFAULT_BOUNDS) as (keyof Bounds)[]).map((name) => `${name} ${textOf(bounds[name])}`).join(', ');
}

function textOf(bound: Bounds[keyof Bounds]): string {
  if (typeof bound !== 'object') return String(bound);
  return Object.entries(bound).map(([name, value]) => (Array.isArray(bound) ? String(value) : `${name}=${value}`)).join(' ') || 'none';
}
