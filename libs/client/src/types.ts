import type { Json, ProtocolName, Reason, SagaStepKind } from '#libs/protocol';
import type { ConcordatError } from './errors.js';

interface CommonRequest {
  /**
   * `decided` (default but for sagas): the answer comes when the decision is durable; `finished` (default for sagas): when every participant
   * has applied it, or undone what it did.
   */
  readonly waitFor?: 'decided' | 'finished';
  /** Kept with the transaction and shown with it; anything that `JSON.stringify` can write. */
  readonly metadata?: unknown;
}

/** A transaction whose branches take effect in all participants or in none. */
export interface BranchesRequest extends CommonRequest {
  /** Default `2pc`. A newer coordinator may know more names than this client. */
  readonly protocol?: Exclude<ProtocolName, 'saga'> | (string & {});
  readonly branches: readonly BranchRequest[];
  /** Undecided after this many milliseconds, the transaction aborts with PREPARE_TIMEOUT. */
  readonly timeoutMs?: number;
}

/** A transaction whose steps take effect one after the other, and are compensated if a later one fails for good. */
export interface SagaRequest extends CommonRequest {
  readonly protocol?: 'saga';
  readonly steps: readonly StepRequest[];
  /** Undecided after this many milliseconds, the saga is compensated with SAGA_TIMEOUT. */
  readonly timeoutMs?: number;
  /** When compensations are not all through this many milliseconds after the decision, the saga needs attention. */
  readonly compensationTimeoutMs?: number;
  /** So does one that has repeated a retriable step or a compensation this often. */
  readonly attentionAfterAttempts?: number;
}

/** What a transaction is to do, as `POST /v1/transactions` takes it. */
export type TransactionRequest = BranchesRequest | SagaRequest;

/** One participant's part. */
export interface BranchRequest {
  readonly participant: string;
  readonly operation: string;
  /** Anything that `JSON.stringify` can write and the operation's schema allows. */
  readonly payload: unknown;
}

/** One step of a saga. */
export interface StepRequest extends BranchRequest {
  /** Unique within the saga. */
  readonly id: string;
  /** Default `compensatable`. */
  readonly kind?: SagaStepKind;
  /** Ids of the steps that must be done before; absent: the step before this one in the list; empty: none. */
  readonly after?: readonly string[];
  readonly timeoutMs?: number;
  readonly retry?: { readonly maxAttempts?: number; readonly firstMs?: number; readonly maxMs?: number };
}

/** A transaction as the coordinator shows it. */
export interface Transaction {
  readonly id: string;
  readonly protocol: string;
  readonly status: 'pending' | 'committed' | 'aborted' | 'running' | 'completed' | 'compensating' | 'compensated' | 'needs-attention';
  /** Null while undecided. */
  readonly decision: 'COMMIT' | 'ABORT' | null;
  readonly reason: Reason | null;
  readonly createdAt: string;
  readonly decidedAt: string | null;
  readonly finishedAt: string | null;
  /** Of a saga: its steps. */
  readonly branches: readonly TransactionBranch[];
  /** Why a saga needs a person; null once it has ended. */
  readonly attention: Attention | null;
  /** Set when an operator ended it although something was outstanding. */
  readonly resolved: Reason | null;
}

export interface Attention {
  readonly step: string;
  readonly reason: Reason;
  readonly at: string;
}

export interface TransactionBranch {
  readonly index: number;
  readonly participant: string;
  readonly operation: string;
  readonly state: string;
  readonly vote: 'yes' | 'no' | 'read-only' | null;
  readonly attempts: number;
  /** What the prepare handler returned with its vote, or the step's execute handler. */
  readonly result?: Json | null;
  /** Of a refusal, or of a step's last failure. */
  readonly reason?: Reason | null;
  /** Of a saga's step, as are `kind` and `after`. */
  readonly id?: string;
  readonly kind?: SagaStepKind;
  readonly after?: readonly string[];
}

interface Certain<Outcome extends string> {
  readonly outcome: Outcome;
  readonly id: string;
  /** Why it aborted or was compensated; null otherwise. */
  readonly reason: Reason | null;
  readonly transaction: Transaction;
}

/** The decision is known and durable: it will not change. */
export type BranchesOutcome = Certain<'committed' | 'aborted'>;

/** The saga's decision is known and durable: it has ended so, or (asked with `waitFor: 'decided'`) it will. */
export type SagaOutcome = Certain<'completed' | 'compensated'>;

export type CertainOutcome = BranchesOutcome | SagaOutcome;

/**
 * The transaction may have run, may be running, or may never have arrived: its answer was lost, or the caller's time ran out first.
 * Nothing may be concluded from it; hand it to {@link ConcordatClient.wait}. It holds plain data but for `cause`, so that
 * `{ request, idempotencyKey }` can be stored and asked about by another process.
 */
export interface UnknownOutcome<Request extends TransactionRequest = TransactionRequest> {
  readonly outcome: 'unknown';
  /** Known if the coordinator said that the transaction is still pending. */
  readonly id: string | null;
  /** Null only where `wait` was asked by id. */
  readonly idempotencyKey: string | null;
  readonly request: Request | null;
  /** Set when the coordinator said last that the saga needs a person. It goes on trying, and may still end by itself. */
  readonly attention: Attention | null;
  /** `ANSWER_LOST`, `STILL_PENDING`, `NEEDS_ATTENTION`, or what the last attempt to find out met. */
  readonly cause: ConcordatError;
}

export type Result = CertainOutcome | UnknownOutcome;
export type BranchesResult = BranchesOutcome | UnknownOutcome<BranchesRequest>;
export type SagaResult = SagaOutcome | UnknownOutcome<SagaRequest>;

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
