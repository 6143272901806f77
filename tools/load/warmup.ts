import type { Progress } from '../../apps/loadtest/src/contract.ts';
import type { RunReport } from './report-types.ts';
import type { RunSettings } from './settings.ts';

/** Seconds that have to look alike. */
const ALIKE = 3;
/** Arrivals of so many seconds, and two, may be open at any moment by chance. */
const SLACK_SECONDS = 0.05;
/** A median of that many best ones is still that of a queue. */
const SLOWER = 1.5;
/** By Little's law as many are open as arrive in the mean latency: that is so many medians at most, of a system without a queue. */
const MEDIANS = 3;
/** For all generators to be told in time. */
const NOTICE_SECONDS = 2;

/**
 * Whether the queue that has built while everything was cold is gone: for some seconds neither grows nor shrinks what is open, latencies
 * stay as they are, and no more is open than the rate explains with the best latency that was seen.
 * @param seconds of warm-up, in their order
 */
export function isSteady(seconds: readonly Progress[], ratePerSecond: number): boolean {
  const last = seconds.slice(-ALIKE);
  if (last.length < ALIKE) return false;
  const slack = 2 + ratePerSecond * SLACK_SECONDS;
  const open = last.map(({ outstanding }) => outstanding);
  const medians = last.flatMap(({ p50Ms }) => p50Ms ?? []);
  const best = Math.min(...seconds.flatMap(({ p50Ms }) => p50Ms ?? []));
  const explained = slack + (Number.isFinite(best) ? MEDIANS * ratePerSecond * (best / 1000) : 0);
  return Math.max(...open) - Math.min(...open) <= slack && Math.max(...medians) <= SLOWER * Math.min(...medians) && open.at(-1)! <= explained;
}

/** The warm-up of one run: an open loop's ends when it is steady, between `warmupSeconds` and so many times that. */
export class Warmup {
  readonly mostSeconds: number;
  private readonly settings: Pick<RunSettings, 'loop' | 'warmupSeconds'>;
  private readonly seen: Progress[] = [];
  private seconds: number | null = null;

  /** @param stretch how often `warmupSeconds` at most */
  constructor(settings: Pick<RunSettings, 'loop' | 'warmupSeconds'>, stretch: number) {
    this.settings = settings;
    this.mostSeconds = settings.loop.kind === 'open' ? settings.warmupSeconds * stretch : settings.warmupSeconds;
  }

  /** After each second. Answers once after how many seconds since the start the measured time shall begin. */
  progressed(progress: Progress): number | null {
    const { loop, warmupSeconds } = this.settings;
    if (loop.kind === 'closed' || this.seconds !== null || progress.second >= 0) return null;
    this.seen.push(progress);
    const seconds = this.seen.length + NOTICE_SECONDS;
    if (seconds < warmupSeconds || seconds >= this.mostSeconds || !isSteady(this.seen, loop.ratePerSecond)) return null;
    this.seconds = seconds;
    return seconds;
  }

  /** Undefined: of a closed loop, or none was asked for. */
  result(): RunReport['warmup'] {
    return this.mostSeconds === this.settings.warmupSeconds ? undefined : { seconds: this.seconds ?? this.mostSeconds, steady: this.seconds !== null };
  }
}
