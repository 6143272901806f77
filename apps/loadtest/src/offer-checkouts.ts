import { ConcordatClient, ConcordatError } from '#libs/client';
import { checkoutRequest } from '#libs/shop/checkout';
import { checkoutSource } from './checkouts.js';
import { type Ending, endingOf } from './closed-loop.js';
import { Histogram, type LatencySummary } from './histogram.js';
import { runOpenLoop } from './open-loop.js';
import type { LoadOptions } from './options.js';

export interface OpenLoopReport {
  readonly protocol: string;
  readonly offeredPerSecond: number;
  readonly seconds: number;
  /** Ended transactions (committed or aborted) of those that were to start after the warm-up, per second. */
  readonly achievedPerSecond: number;
  /** `refused`: certainly not taken. `shed`: not sent, because too many were unanswered. */
  readonly endings: Readonly<Record<Ending | 'refused' | 'shed', number>>;
  /** Milliseconds from the intended start to the answer. */
  readonly latencyMs: LatencySummary;
  /** The latest start of an arrival after its time. Where this is not small, the generator itself was too slow. */
  readonly latestStartMs: number;
}

const MAX_OUTSTANDING = 20_000;

/** Checkouts that arrive at a constant rate, the first `warmupSeconds` of them not counted. */
export async function offerCheckouts(options: Pick<LoadOptions, 'coordinatorUrls' | 'token' | 'http' | 'protocol' | 'seconds' | 'warmupSeconds'>, ratePerSecond: number): Promise<OpenLoopReport> {
  const { protocol, seconds, warmupSeconds } = options;
  const client = new ConcordatClient({ urls: options.coordinatorUrls, token: options.token, gather: options.http === 'gathered', connections: 1_024 });
  const next = checkoutSource(`l${Date.now().toString(36)}`);
  const latency = new Histogram();
  const endings: Record<Ending | 'refused' | 'shed', number> = { committed: 0, aborted: 0, unknown: 0, refused: 0, shed: 0 };
  process.stderr.write(`open loop, ${protocol}, ${ratePerSecond}/s, ${warmupSeconds} + ${seconds} s ...\n`);
  const start = performance.now();
  try {
    const result = await runOpenLoop({
      ratePerSecond, seconds: warmupSeconds + seconds, maxOutstanding: MAX_OUTSTANDING,
      attempt: async ({ intendedMs }) => {
        const ending = await attempt(client, checkoutRequest(protocol, next()));
        if (intendedMs < warmupSeconds * 1000) return;
        endings[ending]++;
        if (ending === 'committed' || ending === 'aborted') latency.record(performance.now() - start - intendedMs);
      },
      onShed: ({ intendedMs }) => { if (intendedMs >= warmupSeconds * 1000) endings.shed++; },
    });
    await result.settled;
    return { protocol, offeredPerSecond: ratePerSecond, seconds, achievedPerSecond: (endings.committed + endings.aborted) / seconds, endings, latencyMs: latency.summary(), latestStartMs: result.latestStartMs };
  } finally {
    await client.close();
  }
}

async function attempt(client: ConcordatClient, request: ReturnType<typeof checkoutRequest>): Promise<Ending | 'refused'> {
  try {
    return endingOf((await client.run(request)).outcome);
  } catch (error) {
    if (error instanceof ConcordatError) return 'refused';
    throw error;
  }
}

export function renderOpenLoop({ protocol, offeredPerSecond, seconds, achievedPerSecond, endings, latencyMs: l, latestStartMs }: OpenLoopReport): string {
  const ms = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(1));
  return [
    `${protocol}, open loop, ${seconds} s: ${offeredPerSecond}/s offered, ${achievedPerSecond.toFixed(0)}/s achieved`,
    Object.entries(endings).map(([name, n]) => `${name} ${n}`).join(', '),
    `latency from the intended start, ms: p50 ${ms(l.p50)}, p95 ${ms(l.p95)}, p99 ${ms(l.p99)}, p99.9 ${ms(l.p999)}, max ${ms(l.max)}`,
    `latest start of an arrival after its time: ${ms(latestStartMs)} ms`,
  ].join('\n');
}
