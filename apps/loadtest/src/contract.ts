import type { ProtocolName } from '../../../libs/protocol/src/messages.ts';

// What the launcher (tools/load) and the generator processes (dist/apps/loadtest) say to each other. Erasable TypeScript, no imports but types.

/**
 * sdk                the client library, which gathers concurrent calls
 * http               one POST /v1/transactions for each
 * batch              POST /v1/transactions:batch, `batchSize` in each
 * local              the monolith: BEGIN, five statements, COMMIT, in one database
 * local-single       the monolith: the same written as one statement
 * local-http         `local` behind the HTTP server that the coordinator uses
 */
export type Way = 'sdk' | 'http' | 'batch' | 'local' | 'local-single' | 'local-http';

export type Loop = { readonly kind: 'closed'; readonly clients: number } | { readonly kind: 'open'; readonly ratePerSecond: number };

export type Skew = 'uniform' | 'hot' | { readonly zipf: number };

export interface Workload {
  readonly protocol: ProtocolName;
  /** 1 to 10. */
  readonly participants: number;
  /** 0 to 1: how many ask for what a participant refuses. */
  readonly refusalShare: number;
  /** Of the SKUs and customers. `hot`: all on one SKU; where inventory takes no part, on one customer. */
  readonly skew: Skew;
  /** Added to each branch's payload as far as its schema lets it, else to `metadata`. */
  readonly payloadBytes: number;
  readonly seed: number;
}

export interface Assignment {
  readonly way: Way;
  readonly loop: Loop;
  readonly workload: Workload;
  readonly warmupSeconds: number;
  /** Longer than `warmupSeconds`: it lasts so long unless a line says that less will do. */
  readonly mostWarmupSeconds: number;
  readonly seconds: number;
  readonly batchSize: number;
  readonly target: {
    readonly coordinatorUrls: readonly string[];
    readonly token: string;
    readonly localDatabaseUrl: string | null;
    readonly localHttpUrl: string | null;
    /** Connections of all workers together. */
    readonly localPool: number;
  };
  /** This one of `workers`, from 0; each has its share of clients or arrivals. */
  readonly worker: number;
  readonly workers: number;
  /** Begins all its order ids. */
  readonly idPrefix: string;
}

/** A line on stdin after the assignment. */
export interface MeasureAfter {
  /** The measured time begins so many seconds after the start. */
  readonly measureAfterSeconds: number;
}

export type Ending = 'committed' | 'aborted' | 'refused' | 'unknown' | 'shed';

/** What is printed each second, one line of JSON. */
export interface Progress {
  readonly kind: 'progress';
  /** Since the start of the measured time; negative: warming up, for so long at most. */
  readonly second: number;
  readonly ended: number;
  readonly refused: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly outstanding: number;
}

export interface Result {
  readonly kind: 'result';
  readonly endings: Readonly<Record<Ending, number>>;
  /** Why aborted, refused or unknown, by code. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** HDR, V2, compressed, base64; microseconds, 1 to 120,000,000, 3 digits. Of what committed or aborted. */
  readonly histogram: string;
  /** Whatever ended in that second of the measured time, or after it. */
  readonly bySecond: readonly { readonly second: number; readonly ended: number; readonly refused: number; readonly p50Ms: number | null; readonly p99Ms: number | null }[];
  /** The latest start of an arrival after its time: how honest an open loop was. */
  readonly latestStartMs: number;
  /** Up to 2,000, spread evenly over the measured time: for the phases of the commit. */
  readonly sample: readonly string[];
  /** What every client was told, for the audit: txid to outcome, as far as 200,000 of them. */
  readonly told: readonly (readonly [txid: string, outcome: string])[];
}
