/** One run, told: as a transcript, as JSON, and as a page. */
import fs from 'node:fs';
import path from 'node:path';
import {
  drawRun, NO_FAULTS, page, recorder, simulate, traceDriverSeed, transcript, type CheckedProtocol, type FaultOdds, type RunOptions, type TraceEvent,
} from '#libs/simulator';
import { replayCommand, scheduleCommand } from './commands.js';
import { OptionError } from './option-error.js';
import { PRESETS, stagedRun } from './presets.js';
import type { Job } from './simulate-options.js';
import { driverOverridesOf, overridesOf, underTest } from './work.js';

export interface ToldRun {
  /** For the page's file: `2pc-4711`. */
  readonly name: string;
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
  readonly command: string;
  readonly violation: string | null;
  readonly outcomes: readonly { readonly txid: string; readonly outcome: string }[];
  readonly events: readonly TraceEvent[];
}

export const PROTOCOL_TITLES: Readonly<Record<string, string>> = {
  '2pc': 'Two-phase commit', '3pc': 'E3PC, quorum-based three-phase commit', 'paxos-commit': 'Paxos Commit', saga: 'Saga', 'textbook-3pc': 'Textbook three-phase commit',
  mixed: 'Transactions of all protocols',
};

/** A page of more events is no longer something to look at; it shows the last ones, where a violation is. */
const MOST_ON_A_PAGE = 3000;

function titleOf({ protocol, mutant }: Job, what: string): string {
  return `${PROTOCOL_TITLES[protocol]}${mutant === null ? '' : ` (broken: ${mutant})`}, ${what}`;
}

export function replay(job: Job, seed: number): ToldRun {
  const options = drawRun(underTest(job), seed, overridesOf(job));
  return told(options, { name: `${job.protocol}-${seed}`, title: titleOf(job, `seed ${seed}`), command: replayCommand(job, seed), facts: [...factsOf(options), faultFact(options.faults)] });
}

export function staged(job: Job, name: string): ToldRun {
  const options = stagedRun(name, job.protocol as CheckedProtocol, job.mutant, job.nodes ?? 3, job.f ?? 1);
  const facts = [...factsOf(options), ['schedule', PRESETS[name]!.text] as const];
  return told(options, { name: `${job.protocol}-${name}`, title: titleOf(job, name), command: scheduleCommand(job, name), facts });
}

function told(options: RunOptions, about: Pick<ToldRun, 'name' | 'title' | 'facts' | 'command'>): ToldRun {
  const { events, trace } = recorder();
  const { violation, outcomes, blockedMs, longestInDoubtMs } = simulate({ ...options, trace });
  const facts = [...about.facts, ['longest in doubt', `${Math.round(longestInDoubtMs)} ms`] as const, ...(blockedMs > 0 ? [['blocked for', `${Math.round(blockedMs)} ms`] as const] : [])];
  return { ...about, facts, violation, events, outcomes: options.systems.map(({ txid }, i) => ({ txid, outcome: outcomes[i] ?? 'open' })) };
}

function factsOf({ systems, coordinators = 1, faults: { latencyMs, flushMs } }: RunOptions): (readonly [string, string])[] {
  const participants = systems.map(({ roles }) => new Set(roles.map(({ site }) => site).filter((site) => site.startsWith('p'))).size);
  return [
    ['participants', participants.join(', ')], ['transactions', String(systems.length)], ['coordinator processes', String(coordinators)],
    ['latency', `${latencyMs} ms`], ['durable write', `${flushMs} ms`],
  ];
}

/** What is as it is without faults is not worth a word. */
function faultFact(faults: FaultOdds): readonly [string, string] {
  const unusual = (Object.keys(NO_FAULTS) as (keyof FaultOdds)[]).filter((key) => faults[key] !== NO_FAULTS[key] && key !== 'latencyMs' && key !== 'flushMs');
  return ['faults', unusual.map((key) => `${key} ${Math.round(faults[key] * 1000) / 1000}`).join(', ') || 'none'];
}

export async function replayDriver(job: Job, seed: number): Promise<ToldRun> {
  const { result, trace } = await traceDriverSeed(seed, driverOverridesOf(job));
  return {
    name: `driver-${job.protocol}-${seed}`, title: `${job.protocol} under the production driver, seed ${seed}`, command: replayCommand(job, seed), events: trace,
    violation: result.violations.length === 0 ? null : result.violations.join('; '), outcomes: [],
    facts: [['committed', String(result.committed)], ['aborted', String(result.aborted)], ['healed in', `${result.healedInMs} ms`]],
  };
}

export function toldText(run: ToldRun, pageFile: string): string {
  const outcomes = run.outcomes.map(({ txid, outcome }) => `${txid} ${outcome}`);
  return [
    run.title, `  ${run.command}`, ...run.facts.map(([name, value]) => `  ${name}: ${value}`), '', transcript(run.events),
    ...(outcomes.length === 0 ? [] : [`outcome: ${outcomes.join(', ')}`]), run.violation === null ? 'no violation' : `VIOLATION ${run.violation}`, `page: ${pageFile}`,
  ].join('\n') + '\n';
}

export function toldJson(run: ToldRun, pageFile: string) {
  const { title, command, facts, violation, outcomes, events } = run;
  return { title, command, facts: Object.fromEntries(facts), violation, outcomes, page: pageFile, events };
}

export function defaultPage(run: ToldRun): string {
  return path.join('.concordat', 'simulations', `${run.name}.html`);
}

/** @throws OptionError when the file cannot be written */
export function writePage({ title, facts, command, violation, outcomes, events }: ToldRun, file: string): void {
  const skipped = Math.max(0, events.length - MOST_ON_A_PAGE);
  const shown = skipped === 0 ? facts : [...facts, ['not shown', `the first ${skipped} of ${events.length} events`] as const];
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, page({ title, facts: shown, replay: command, violation, outcomes, events: events.slice(skipped) }));
  } catch (error) {
    throw new OptionError(`--page takes a file that can be written, got "${file}": ${(error as Error).message}`);
  }
}
