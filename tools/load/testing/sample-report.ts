// Reports as the load tester would write them, with figures that are made up but fit each other.
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Way, Workload } from '../../../apps/loadtest/src/contract.ts';
import type { LoadReport, ProcessUse, RunReport, Second } from '../report-types.ts';

export const WORKLOAD: Workload = { protocol: '2pc', participants: 3, refusalShare: 0.02, skew: 'uniform', payloadBytes: 0, seed: 7 };
const SECONDS = 20;
/** So often each drawn latency counts. */
const TIMES = 20;

export interface Sample {
  readonly name?: string;
  readonly way?: Way;
  readonly clients?: number;
  /** An open loop instead. */
  readonly ratePerSecond?: number;
  readonly perSecond?: number;
  /** The middle of the latencies in milliseconds; the tail is some ten times that. */
  readonly medianMs?: number;
  readonly seed?: number;
  readonly overrides?: Partial<RunReport>;
}

export function sampleRun(sample: Sample = {}): RunReport {
  const { way = 'sdk', clients = 256, perSecond = 1_200, medianMs = 180, seed = 1 } = sample;
  const random = randomSource(seed);
  const isLocal = way.startsWith('local');
  const ended = Math.round(perSecond * SECONDS);
  const aborted = Math.round(ended * 0.02);
  const { latency, histogram } = latencies(ended, medianMs, random);
  return {
    name: sample.name ?? `${isLocal ? way : `2pc, ${way}`}, ${sample.ratePerSecond === undefined ? `${clients} clients` : `${sample.ratePerSecond}/s`}`,
    settings: {
      way, loop: sample.ratePerSecond === undefined ? { kind: 'closed', clients } : { kind: 'open', ratePerSecond: sample.ratePerSecond },
      workload: WORKLOAD, warmupSeconds: 5, seconds: SECONDS, batchSize: 64, workers: 2,
    },
    round: 0,
    startedAt: '2026-03-01T12:00:00.000Z',
    endings: { committed: ended - aborted, aborted, refused: isLocal ? 0 : 37, unknown: 0, shed: 0 },
    reasons: isLocal ? { INSUFFICIENT_FUNDS: aborted } : { INSUFFICIENT_FUNDS: Math.round(aborted * 0.7), OUT_OF_STOCK: aborted - Math.round(aborted * 0.7), OVERLOADED: 37 },
    perSecond, latency, histogram, bySecond: seconds(perSecond, medianMs, isLocal, random), latestStartMs: 3.1,
    phases: isLocal ? null : (['queue', 'prepare', 'vote', 'decision', 'delivery'] as const).map((name, i) => {
      const p50 = medianMs * [0.14, 0.16, 0.42, 0.16, 0.12][i]!;
      return { name, p50, p95: p50 * 2.1, p99: p50 * 3.9 };
    }),
    processes: processes(ended, isLocal),
    cost: isLocal ? { coordinatorFlushes: 0, databaseTransactions: 1, walSyncs: 0.31, walBytes: 1_480, kafkaBytes: 0 } : { coordinatorFlushes: 0.042, databaseTransactions: 0.19, walSyncs: 0.11, walBytes: 9_820, kafkaBytes: 6_410 },
    audit: [
      { name: 'every answer is in the tables', holds: true, detail: `${ended} compared` },
      { name: 'all participants agree', holds: true, detail: `${ended} transactions` },
      { name: 'money and stock are conserved', holds: true, detail: '10,000 accounts, 10,000 SKUs' },
    ],
    ...sample.overrides,
  };
}

/** As `compare` leaves it: each configuration in turn, on a machine that is slower in the second round. */
export function sampleComparison(): LoadReport {
  const speeds = [1, 0.7, 1.05];
  return sampleReport(speeds.flatMap((speed, i) => [
    sampleRun({ way: 'local', perSecond: 2_000 * speed, medianMs: 110 / speed, seed: i }),
    sampleRun({ way: 'sdk', perSecond: (1_200 + i * 10) * speed, medianMs: 190 / speed, seed: 10 + i }),
    sampleRun({ way: 'http', perSecond: (800 - i * 10) * speed, medianMs: 300 / speed, seed: 20 + i }),
  ]), { rounds: 3 });
}

export function sampleReport(runs: readonly RunReport[] = [sampleRun()], overrides: Partial<LoadReport> = {}): LoadReport {
  return {
    format: 1, at: '2026-03-01T12:00:00.000Z', version: '0.1.0', rounds: 1, environment: { MAX_IN_FLIGHT: '2000' }, runs: inRounds(runs),
    machine: { cpus: '2', cpu: 'Example CPU @ 2.60GHz', memoryGb: '8', os: 'Linux 6.8', node: '22.23.3', postgres: '18.4', kafka: '4.1.0' },
    ...overrides,
  };
}

/** Those of one name are of one round after the other. */
function inRounds(runs: readonly RunReport[]): readonly RunReport[] {
  return runs.map((run, i) => ({ ...run, round: runs.slice(0, i).filter(({ name }) => name === run.name).length }));
}

export function brokenRun(sample: Sample = {}): RunReport {
  return sampleRun({ ...sample, overrides: { ...sample.overrides, audit: [
    { name: 'all participants agree', holds: false, detail: 'tx-0042: orders committed, payments aborted' },
    { name: 'money and stock are conserved', holds: true, detail: '10,000 accounts' },
  ] } });
}

function latencies(count: number, medianMs: number, random: () => number): Pick<RunReport, 'latency' | 'histogram'> {
  const values = build({ bitBucketSize: 64, lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 3 });
  const ms = (): number => medianMs * Math.exp(0.35 * normal(random)) * (random() < 0.01 ? 3 + random() * 4 : 1);
  // Some thousand different ones do, and specs stay fast.
  for (let left = count; left > 0; left -= TIMES) values.recordValueWithCount(Math.round(ms() * 1000), Math.min(TIMES, left));
  const at = (percentile: number): number => values.getValueAtPercentile(percentile) / 1000;
  return {
    histogram: encodeIntoCompressedBase64(values),
    latency: { count, mean: values.mean / 1000, p50: at(50), p75: at(75), p90: at(90), p95: at(95), p99: at(99), p999: at(99.9), max: values.maxValue / 1000 },
  };
}

function seconds(perSecond: number, medianMs: number, isLocal: boolean, random: () => number): readonly Second[] {
  return Array.from({ length: SECONDS }, (_, second) => ({
    second, ended: Math.round(perSecond * (0.9 + random() * 0.2)), refused: !isLocal && second >= 8 && second < 11 ? Math.round(perSecond * 0.01) : 0,
    p50Ms: second === 15 ? null : medianMs * (0.9 + random() * 0.2), p99Ms: second === 15 ? null : medianMs * (2.4 + random()),
  }));
}

function processes(ended: number, isLocal: boolean): readonly ProcessUse[] {
  const used: readonly (readonly [name: string, cpuMs: number, rssMb: number])[] = isLocal
    ? [['load', 0.22, 96], ['postgres', 0.41, 310]]
    : [['load', 0.12, 124], ['coordinator', 0.31, 168], ['orders', 0.13, 104], ['payments', 0.12, 106], ['inventory', 0.13, 103], ['postgres', 0.44, 420], ['kafka', 0.15, 610]];
  return used.map(([name, cpuMsPerTransaction, rssMbMost]) => ({ name, cpuMsPerTransaction, cpuSeconds: (cpuMsPerTransaction * ended) / 1000, rssMbMost }));
}

/** The same numbers each time (mulberry32). */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
