import type { Progress } from '../../apps/loadtest/src/contract.ts';
import type { RunSettings } from './settings.ts';

/** Where nobody looks on. */
const QUIET_SECONDS = 10;

export interface Place {
  readonly name: string;
  /** From 1; 0: it warms what was just started. */
  readonly run: number;
  /** Null: nobody knows (a ramp). */
  readonly of: number | null;
}

/** What is seen of a run while it goes on: a line a second on a terminal, every ten seconds elsewhere. */
export class LiveView {
  private readonly say: (line: string) => void;
  private readonly everySeconds: number;
  private readonly place: Place;
  private settings: Pick<RunSettings, 'seconds' | 'warmupSeconds'>;
  private kept: Progress[] = [];

  constructor(place: Place, settings: Pick<RunSettings, 'seconds' | 'warmupSeconds'>, out: { readonly say: (line: string) => void; readonly isTerminal: boolean }) {
    this.place = place;
    this.settings = settings;
    this.say = out.say;
    this.everySeconds = out.isTerminal ? 1 : QUIET_SECONDS;
  }

  /** Less than was said. */
  warmsUpFor(seconds: number): void {
    this.settings = { ...this.settings, warmupSeconds: seconds };
  }

  /** After each second. */
  progressed(progress: Progress): void {
    this.kept.push(progress);
    const isLast = progress.second === -1 || progress.second === this.settings.seconds - 1;
    if (this.kept.length < this.everySeconds && !isLast) return;
    this.say(`${placeText(this.place)}  ${lineOf(this.kept, this.settings)}`);
    this.kept = [];
  }
}

/** @param kept one or more seconds, in their order; of several the throughput is the mean, the percentiles are the worst */
export function lineOf(kept: readonly Progress[], { seconds, warmupSeconds }: Pick<RunSettings, 'seconds' | 'warmupSeconds'>): string {
  const last = kept.at(-1)!;
  const mean = (of: (progress: Progress) => number): string => Math.round(kept.reduce((sum, progress) => sum + of(progress), 0) / kept.length).toLocaleString('en-US');
  const worst = (of: (progress: Progress) => number | null): string => {
    const known = kept.flatMap((progress) => of(progress) ?? []);
    return known.length === 0 ? '-' : Math.max(...known).toFixed(1);
  };
  const share = Math.min(100, Math.round(((warmupSeconds + last.second + 1) / (warmupSeconds + seconds)) * 100));
  const phase = last.second < 0 ? `warm-up ${warmupSeconds + last.second + 1}/${warmupSeconds} s` : last.second < seconds ? `${last.second + 1}/${seconds} s` : 'waiting for the last answers';
  return `${phase} (${share} %)  ${mean(({ ended }) => ended)}/s  p50 ${worst(({ p50Ms }) => p50Ms)} ms  p99 ${worst(({ p99Ms }) => p99Ms)} ms  refused ${mean(({ refused }) => refused)}/s  open ${last.outstanding}`;
}

function placeText({ name, run, of }: Place): string {
  return run === 0 ? `warming up: ${name}` : `run ${run}${of === null ? '' : ` of ${of}`}: ${name}`;
}
