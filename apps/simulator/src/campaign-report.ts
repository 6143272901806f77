/** What a campaign came to, as text and as JSON. */
import type { CampaignResult, DriverSeedsResult } from '#libs/simulator';
import { replayCommand } from './commands.js';
import { duration, grouped } from './numbers.js';
import type { Job } from './simulate-options.js';
import type { SliceResult } from './work.js';

export interface Finished {
  readonly job: Job;
  readonly firstSeed: number;
  readonly workers: number;
  readonly elapsedMs: number;
  /** Stopped before all runs were done. */
  readonly stopped: boolean;
  readonly result: SliceResult;
}

/** More are counted, not listed. */
const MOST_LISTED = 20;

export function campaignJson({ job, firstSeed, workers, elapsedMs, stopped, result }: Finished) {
  const { violations, ...figures } = result;
  return {
    protocol: job.protocol, ...(job.mutant !== null && { mutant: job.mutant }), ...(job.driver && { driver: true }), firstSeed, workers, stopped,
    seconds: Math.round(elapsedMs) / 1000, perSecond: Math.round((result.runs * 1000) / Math.max(1, elapsedMs)), ...figures,
    violationCount: violations.length,
    violations: violations.slice(0, MOST_LISTED).map(({ seed, text }) => ({ seed, text, replay: replayCommand(job, seed) })),
  };
}

export function campaignText(finished: Finished): string {
  const { job, firstSeed, workers, elapsedMs, stopped, result } = finished;
  const name = [job.protocol, job.mutant === null ? '' : `(${job.mutant})`, job.driver ? 'with the driver' : ''].filter((word) => word !== '').join(' ');
  const rate = grouped((result.runs * 1000) / Math.max(1, elapsedMs));
  return [
    `${name}: ${grouped(result.runs)} schedules from seed ${firstSeed}${stopped ? ', then stopped' : ''}; ${duration(elapsedMs)}, ${rate} per second, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    ...('slowestHealing' in result ? driverFigures(result) : figures(result)),
    figure('faults', Object.entries(result.faults).filter(([, count]) => count > 0).map(([kind, count]) => `${kind} ${grouped(count)}`).join(', ') || 'none'),
    figure('violations', grouped(result.violations.length)),
    ...violationLines(finished),
  ].join('\n') + '\n';
}

function figures(result: CampaignResult): string[] {
  return [
    figure('transactions', `${grouped(result.transactions)}: ${grouped(result.committed)} committed, ${grouped(result.aborted)} aborted, ${grouped(result.withoutOutcome)} without outcome`),
    figure('events', `${grouped(result.events)}, of them ${grouped(result.messages)} messages`),
    figure('in doubt', `at most ${duration(result.longestInDoubtMs)} of simulated time`),
    figure('blocked', result.blocked === 0 ? 'never' : `in ${grouped(result.blocked)} runs until a lost site was back, at most ${duration(result.longestBlockedMs)}`),
  ];
}

function driverFigures(result: DriverSeedsResult): string[] {
  return [
    figure('transactions', `${grouped(result.committed + result.aborted)}: ${grouped(result.committed)} committed, ${grouped(result.aborted)} aborted`),
    figure('healing', `at most ${duration(result.slowestHealing.ms)} of simulated time (seed ${result.slowestHealing.seed})`),
  ];
}

function figure(name: string, value: string): string {
  return `  ${name.padEnd(13)} ${value}`;
}

function violationLines({ job, result: { violations } }: Finished): string[] {
  const listed = violations.slice(0, MOST_LISTED).flatMap(({ seed, text }) => ['', `VIOLATION in seed ${seed}: ${text}`, `  ${replayCommand(job, seed)}`]);
  return violations.length > MOST_LISTED ? [...listed, '', `and ${grouped(violations.length - MOST_LISTED)} more`] : listed;
}
