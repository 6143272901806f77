import type { Json, ProtocolName, Reason } from '#libs/protocol';
import type { ConcordatError } from './errors.js';

/** What a transaction is to do, as `POST /v1/transactions` takes it. */
export interface TransactionRequest {
  /** Default `2pc`. A newer coordinator may know more names than this client. */
  readonly protocol?: ProtocolName | (string & {});
  readonly branches: readonly BranchRequest[];
  /** Undecided after this many milliseconds, the transaction aborts with PREPARE_TIMEOUT. */
  readonly timeoutMs?: number;
  /** `decided` (default): the answer comes when the decision is durable; `finished`: when every participant has applied it. */
  readonly waitFor?: 'decided' | 'finished';
  /** Kept with the transaction and shown with it; anything that `JSON.stringify` can write. */
  readonly metadata?: unknown;
}

/** One participant's part. */
export interface BranchRequest {
  readonly participant: string;
  readonly operation: string;
  /** Anything that `JSON.stringify` can write and the operation's schema allows. */
  readonly payload: unknown;
}

/** A transaction as the coordinator shows it. */
export interface Transaction {
  readonly id: string;
  readonly protocol: string;
  readonly status: 'pending' | 'committed' | 'aborted';
  readonly reason: Reason | null;
  readonly createdAt: string;
  readonly decidedAt: string | null;
  readonly finishedAt: string | null;
  readonly branches: readonly TransactionBranch[];
}

export interface TransactionBranch {
  readonly index: number;
  readonly participant: string;
  readonly operation: string;
  readonly state: string;
  readonly vote: 'yes' | 'no' | 'read-only' | null;
  readonly attempts: number;
  /** What the prepare handler returned with its vote. */
  readonly result?: Json | null;
}

/** The decision is known and durable: it will not change. */
export interface CertainOutcome {
  readonly outcome: 'committed' | 'aborted';
  readonly id: string;
  /** Why it aborted; null for a committed one. */
  readonly reason: Reason | null;
  readonly transaction: Transaction;
}

/**
 * The transaction may have run, may be running, or may never have arrived: its answer was lost, or the caller's time ran out first.
 * Nothing may be concluded from it; hand it to {@link ConcordatClient.wait}. It holds plain data but for `cause`, so that
 * `{ request, idempotencyKey }` can be stored and asked about by another process.
 */
export interface UnknownOutcome {
  readonly outcome: 'unknown';
  /** Known if the coordinator said that the transaction is still pending. */
  readonly id: string | null;
  /** Null only where `wait` was asked by id. */
  readonly idempotencyKey: string | null;
  readonly request: TransactionRequest | null;
  /** `ANSWER_LOST`, `STILL_PENDING`, or what the last attempt to find out met. */
  readonly cause: ConcordatError;
}

export type Result = CertainOutcome | UnknownOutcome;

export interface CallOptions {
  /** 1..255 characters; generated if not given. The same key with the same request is the same transaction. */
  readonly idempotencyKey?: string;
  /** The caller's patience for the whole call, repeats included. Default 10,000. */
  readonly waitMs?: number;
}

export interface Submitted {
  readonly id: string;
  readonly idempotencyKey: string;
}
