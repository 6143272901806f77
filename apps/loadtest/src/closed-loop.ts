export type Ending = 'committed' | 'aborted' | 'unknown';

/** A saga that completed counts as committed, one that was compensated as aborted. */
export function endingOf(outcome: Ending | 'completed' | 'compensated'): Ending {
  if (outcome === 'completed') return 'committed';
  return outcome === 'compensated' ? 'aborted' : outcome;
}

export interface ClosedLoopResult {
  readonly concurrency: number;
  readonly seconds: number;
  readonly endings: Readonly<Record<Ending, number>>;
  /** Ended transactions (committed or aborted) per second. */
  readonly perSecond: number;
  /** Milliseconds from request to answer. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** CPU seconds per wall second, by watched process. */
  readonly cores: Readonly<Record<string, number>>;
}

/**
 * `concurrency` clients, each of which starts its next checkout when the last one has ended, for `seconds` after a warm-up that is not
 * counted. A closed loop measures capacity; it hides queueing, which an open loop shows.
 */
export async function runClosedLoop(options: {
  readonly concurrency: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly attempt: () => Promise<Ending>;
  readonly cpuSeconds: () => Readonly<Record<string, number>>;
}): Promise<ClosedLoopResult> {
  const latencies: number[] = [];
  const endings: Record<Ending, number> = { committed: 0, aborted: 0, unknown: 0 };
  const startAt = performance.now() + options.warmupSeconds * 1000;
  const endAt = startAt + options.seconds * 1000;
  let cpuBefore = options.cpuSeconds();
  let cpuAfter = cpuBefore;
  const marks = [setTimeout(() => { cpuBefore = options.cpuSeconds(); }, startAt - performance.now()), setTimeout(() => { cpuAfter = options.cpuSeconds(); }, endAt - performance.now())];

  const client = async (): Promise<void> => {
    for (let began = performance.now(); began < endAt; began = performance.now()) {
      const ending = await options.attempt();
      const ended = performance.now();
      if (ended < startAt || ended > endAt) continue;
      endings[ending]++;
      latencies.push(ended - began);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, client));
  marks.forEach(clearTimeout);
  return {
    concurrency: options.concurrency, seconds: options.seconds, endings,
    perSecond: (endings.committed + endings.aborted) / options.seconds,
    latencyMs: percentiles(latencies),
    cores: Object.fromEntries(Object.keys(cpuAfter).map((name) => [name, ((cpuAfter[name] ?? 0) - (cpuBefore[name] ?? 0)) / options.seconds])),
  };
}

function percentiles(latencies: number[]): ClosedLoopResult['latencyMs'] {
  const sorted = Float64Array.from(latencies).sort();
  const at = (fraction: number): number => (sorted.length === 0 ? Number.NaN : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))]!);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
