// Run by Node as it is (tools/chaos), too: erasable TypeScript, relative imports in .ts.
import { setTimeout as sleep } from 'node:timers/promises';

export interface Arrival {
  /** From 0. */
  readonly n: number;
  /** When it was to start, in milliseconds since the loop's start. */
  readonly intendedMs: number;
}

export interface OpenLoopOptions {
  readonly ratePerSecond: number;
  /** A function: as long as it says at the time. */
  readonly seconds: number | (() => number);
  /** Beyond this many unanswered ones an arrival is not sent, and counted as shed: the generator's own memory stays bounded. */
  readonly maxOutstanding: number;
  /** Must not reject. */
  readonly attempt: (arrival: Arrival) => Promise<void>;
  readonly onShed?: (arrival: Arrival) => void;
  /** Ends the arrivals early. */
  readonly signal?: AbortSignal;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

export interface OpenLoopResult {
  readonly offered: number;
  readonly shed: number;
  /** Of the arrivals, without waiting for the last answers. */
  readonly seconds: number;
  /** The latest start of an arrival after its time, in milliseconds: how honest the generator was. */
  readonly latestStartMs: number;
  /** Resolves when all that was started is answered. */
  readonly settled: Promise<void>;
}

/**
 * Arrivals at a constant rate, whether or not the earlier ones have been answered. A latency is to be counted from the intended start:
 * counted from the real one, it would leave out the time for which a slow system kept the next request waiting ("coordinated omission").
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { ratePerSecond, maxOutstanding, attempt, signal } = options;
  const now = options.now ?? (() => performance.now());
  const aborted = (): boolean => signal?.aborted === true;
  const seconds = typeof options.seconds === 'number' ? () => options.seconds as number : options.seconds;
  const start = now();
  const outstanding = new Set<Promise<void>>();
  let shed = 0;
  let latestStartMs = 0;
  let n = 0;
  for (; n < Math.round(seconds() * ratePerSecond) && !aborted(); n++) {
    const intendedMs = (n * 1000) / ratePerSecond;
    for (let early = intendedMs - (now() - start); early > 0.5 && !aborted(); early = intendedMs - (now() - start)) await pause(early, signal);
    if (aborted()) break;
    latestStartMs = Math.max(latestStartMs, now() - start - intendedMs);
    if (outstanding.size >= maxOutstanding) {
      shed++;
      options.onShed?.({ n, intendedMs });
      continue;
    }
    const attempted = attempt({ n, intendedMs }).finally(() => outstanding.delete(attempted));
    outstanding.add(attempted);
  }
  return { offered: n, shed, seconds: Math.min(seconds(), (now() - start) / 1000), latestStartMs, settled: Promise.all(outstanding).then(() => undefined) };
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // The signal: the loop looks at it.
  }
}
