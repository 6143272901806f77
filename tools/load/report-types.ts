import type { Assignment, Ending } from '../../apps/loadtest/src/contract.ts';

/** One run of one configuration. Times in milliseconds. */
export interface RunReport {
  /** For tables: `2pc, sdk, 256 clients`. */
  readonly name: string;
  readonly settings: Pick<Assignment, 'way' | 'loop' | 'workload' | 'warmupSeconds' | 'seconds' | 'batchSize' | 'workers'>;
  /** Of an open loop that warmed up until nothing was left of the beginning (`steady`), or for as long as it may. */
  readonly warmup?: { readonly seconds: number; readonly steady: boolean };
  /** From 0: of `compare` the round, of the other runs 0. */
  readonly round: number;
  readonly startedAt: string;
  readonly endings: Readonly<Record<Ending, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  /** What committed or aborted in the measured time, a second. */
  readonly perSecond: number;
  readonly latency: Latency;
  /** HDR, V2, compressed, base64, microseconds; all workers together. */
  readonly histogram: string;
  readonly bySecond: readonly Second[];
  readonly latestStartMs: number;
  /** null: a local way has none. */
  readonly phases: readonly Phase[] | null;
  readonly processes: readonly ProcessUse[];
  /** null: not to be had (a stack that somebody else started). */
  readonly cost: Cost | null;
  readonly audit: readonly AuditCheck[];
}

export interface Latency {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Second {
  readonly second: number;
  readonly ended: number;
  readonly refused: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Where the time of a transaction goes: queue (asked to begun), prepare (begun to last PREPARE sent), vote (to the last vote), decision (to durable), delivery (to the last acknowledgement). */
export interface Phase {
  readonly name: 'queue' | 'prepare' | 'vote' | 'decision' | 'delivery';
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface ProcessUse {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly cpuMsPerTransaction: number;
  readonly rssMbMost: number;
}

/** Per transaction, of the measured time. */
export interface Cost {
  readonly coordinatorFlushes: number;
  readonly databaseTransactions: number;
  readonly walSyncs: number;
  readonly walBytes: number;
  readonly kafkaBytes: number;
}

export interface AuditCheck {
  readonly name: string;
  readonly holds: boolean;
  readonly detail: string;
}

export interface LoadReport {
  readonly format: 1;
  readonly at: string;
  readonly version: string;
  readonly machine: Readonly<Record<'cpus' | 'cpu' | 'memoryGb' | 'os' | 'node' | 'postgres' | 'kafka', string>>;
  /** Of the services, as far as somebody set them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly runs: readonly RunReport[];
  /** Of `compare`: the configurations in turn, so often. */
  readonly rounds: number;
  /** Of `--ramp`: the runs are its steps. */
  readonly knee?: Knee;
  /** Of `--of-knee`: the run (from 0) that was held at that share of the knee; it is no step of the ramp. */
  readonly held?: { readonly share: number; readonly run: number };
  readonly state?: StateReport;
}

/** Of `state`: one stack whose tables were filled before the runs, and one that was empty. Times in seconds. */
export interface StateReport {
  readonly finished: number;
  readonly unfinished: number;
  readonly fillSeconds: number;
  /** Of the four databases, indexes included, after it. */
  readonly databaseMb: number;
  /** From the start of the services until all were ready. */
  readonly readySeconds: number;
  /** And until every unfinished transaction had ended, at all participants. */
  readonly resumedSeconds: number;
  readonly resumed: { readonly committed: number; readonly aborted: number };
}

export interface Knee {
  /** The highest rate that was kept up with; null: even the first was too much. */
  readonly ratePerSecond: number | null;
  /** The lowest that was not; null: none up to the highest rate that can be asked for. */
  readonly tooMuch: number | null;
  /** Of the first step. */
  readonly unloadedP50Ms: number;
}
