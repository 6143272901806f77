import type { Progress } from '../../apps/loadtest/src/contract.ts';
import type { Counters } from './counters.ts';
import { type TreeUse, useOf } from './proc.ts';
import type { ProcessUse } from './report-types.ts';

interface Mark {
  readonly use: ReadonlyMap<string, TreeUse>;
  readonly pids: ReadonlyMap<string, number>;
  readonly counters: Promise<Counters | null>;
}

interface Sources {
  /** Name to pid, of all that run now. */
  readonly pids: () => ReadonlyMap<string, number>;
  /** Null: not to be had. */
  readonly counters: () => Promise<Counters | null>;
  /** In place of /proc. */
  readonly proc?: string;
}

export interface Sampled {
  readonly processes: readonly ProcessUse[];
  /** Null: not to be had, or the run was over before it was measured. */
  readonly counters: { readonly before: Counters; readonly after: Counters } | null;
  /** Processes that were not the same at both ends: what was measured is their restart. */
  readonly restarted: readonly string[];
}

/**
 * What processes and servers did in the measured time. A generator tells of a second when it is over: the line of the last second of the
 * warm-up (or the start, if there is none) marks the beginning, that of the last measured second the end.
 */
export class Sampler {
  private readonly sources: Sources;
  private readonly seconds: number;
  private begin: Mark | null = null;
  private end: Mark | null = null;
  private readonly most = new Map<string, number>();

  /** @param seconds measured, without the warm-up */
  constructor(sources: Sources, seconds: number) {
    this.sources = sources;
    this.seconds = seconds;
  }

  /** When the generators have been started. */
  started(): void {
    this.begin = this.mark();
  }

  /** After each second. */
  progressed({ second }: Progress): void {
    if (this.end !== null || second < -1) return;
    if (second === -1) this.begin = this.mark();
    else if (second >= this.seconds - 1) this.end = this.mark();
    if (second < 0) return;
    for (const [name, { rssMb }] of this.end?.use ?? useOf(this.sources.pids(), this.sources.proc)) this.most.set(name, Math.max(this.most.get(name) ?? 0, rssMb));
  }

  /** @param transactions committed and aborted in the measured time */
  async result(transactions: number): Promise<Sampled> {
    const { begin, end } = this;
    if (begin === null || end === null) return { processes: [], counters: null, restarted: [] };
    const [before, after] = await Promise.all([begin.counters, end.counters]);
    return {
      processes: [...end.use].map(([name, use]) => {
        const cpuSeconds = use.cpuSeconds - (begin.pids.get(name) === end.pids.get(name) ? begin.use.get(name)?.cpuSeconds ?? 0 : 0);
        return { name, cpuSeconds, cpuMsPerTransaction: (cpuSeconds * 1000) / transactions, rssMbMost: this.most.get(name) ?? use.rssMb };
      }),
      counters: before === null || after === null ? null : { before, after },
      restarted: [...begin.pids].filter(([name, pid]) => end.pids.get(name) !== pid).map(([name]) => name),
    };
  }

  private mark(): Mark {
    const pids = this.sources.pids();
    // A coordinator that is too busy to tell of its flushes makes the cost unknown, not the run void.
    const counters = this.sources.counters().catch(() => null);
    return { pids, counters, use: useOf(pids, this.sources.proc) };
  }
}
