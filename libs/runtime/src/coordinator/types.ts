import type { Acceptors, BranchSpec, Json, ProtocolName, SagaStepSpec, Txid } from '#libs/protocol';
import type { Idempotency, TransactionView } from '../ports.js';

interface Request {
  /** From now until an undecided transaction aborts. */
  readonly timeoutMs: number;
  readonly waitFor: 'decided' | 'finished';
  readonly metadata: Json;
  readonly idempotency: Idempotency | null;
}

/** A transaction as the caller asks for it; already checked against what the participants announced, a saga by `checkSaga`. */
export type BeginRequest =
  | Request & {
    readonly protocol: '2pc' | '3pc' | 'paxos-commit';
    /** One or more. */
    readonly branches: readonly BranchSpec[];
  }
  | Request & {
    readonly protocol: 'saga';
    /** One or more, with all defaults filled in. */
    readonly steps: readonly SagaStepSpec[];
    readonly compensationTimeoutMs: number;
    readonly attentionAfterAttempts: number;
  };

/** `duplicate`: the idempotency key belongs to transaction `txid`; nothing was begun. */
export type BeginResult =
  | { readonly kind: 'begun'; readonly txid: Txid }
  | { readonly kind: 'duplicate'; readonly txid: Txid; readonly requestHash: string };

/** Enough for most who are told of a transaction; the rest is made for whoever asks, at once, for it. */
export interface Glimpse {
  readonly protocol: ProtocolName;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly view: () => TransactionView;
}

/** Told after the fact, synchronously; must be quick. What it throws is reported to `error`. */
export interface CoordinatorObserver {
  begun(glimpse: Glimpse): void;
  /** The view is there: whoever waits for the decision is answered with it. */
  decided(view: TransactionView): void;
  finished(glimpse: Glimpse): void;
  /** A saga has come to need a person, and that is durable. */
  attention(view: TransactionView): void;
  flushed(stats: FlushStats): void;
  /** Another owner has raised these shards' epochs, or this one let go of them after a defect. */
  fenced(shards: readonly number[]): void;
  /** `context` says what was being done, e.g. `flush`, `send`, `recover shard 3`. */
  error(error: unknown, context: string): void;
}

export interface FlushStats {
  readonly begins: number;
  readonly progress: number;
  readonly decisions: number;
  readonly ends: number;
  /** Retries included. */
  readonly ms: number;
}

export interface CoordinatorOptions {
  /** Names this process as owner of shards and in timelines. */
  readonly instance: string;
  /** Transactions that are not finished; beyond it `begin` is refused with OVERLOADED. */
  readonly maxInFlight: number;
  /** Undecided transactions that name one participant; beyond it `begin` is refused with PARTICIPANT_OVERLOADED, so that one that is down leaves room for the others. */
  readonly maxInFlightPerParticipant: number;
  /**
   * How long a transaction should be undecided at most while a participant has more to do than it can: then fewer than
   * `maxInFlightPerParticipant` are taken. 0: always so many.
   */
  readonly admissionTargetMs: number;
  /** Names of the acceptors of paxos-commit, 2F+1 of them. */
  readonly acceptors: Acceptors;
  /** 3pc: when the coordinator stands for election, see ResolverConfig. */
  readonly resolveAfterMs: number;
  readonly maxResolveIntervalMs: number;
  readonly staggerMs: number;
  /** How long END records and messages that nobody waits for may wait for company. */
  readonly lazyMs: number;
  /** How long a round may wait for company at most; it waits only when many transactions are under way. */
  readonly gatherMs: number;
  /** At most about this many inputs are stepped before a flush, and envelopes sent at once. */
  readonly maxBatch: number;
  /** Flushes that may run at a time; a shard always belongs to the same lane. */
  readonly lanes: number;
  readonly resendAfterMs: number;
  readonly maxResendIntervalMs: number;
  /** When a flush or the transport has failed for this long, new work is refused and what waits for its BEGIN is given up. */
  readonly storeFaultGraceMs: number;
  /** How long a finished transaction stays readable in memory, and how many at most. */
  readonly lingerMs: number;
  readonly lingerMax: number;
  /** On stop: how long to wait for undecided transactions, and again to leave the group and for the last flushes and sends. The rest is the next owner's. */
  readonly drainMs: number;
  /**
   * A shard that was fenced but is still assigned after this long is acquired again; later each time if that happens again and again.
   * Should be longer than a member takes to notice that it has lost its group (15 s with Kafka).
   */
  readonly fencedRetryMs: number;
}

export const COORDINATOR_DEFAULTS: Omit<CoordinatorOptions, 'instance'> = {
  maxInFlight: 10_000,
  maxInFlightPerParticipant: 5_000,
  admissionTargetMs: 1_000,
  acceptors: ['orders', 'payments', 'inventory'],
  resolveAfterMs: 2_000,
  maxResolveIntervalMs: 30_000,
  staggerMs: 250,
  lazyMs: 5,
  gatherMs: 5,
  maxBatch: 1_000,
  lanes: 1,
  resendAfterMs: 1_000,
  maxResendIntervalMs: 30_000,
  storeFaultGraceMs: 3_000,
  lingerMs: 5_000,
  lingerMax: 10_000,
  drainMs: 2_000,
  fencedRetryMs: 2_000,
};

export interface ShardStatus {
  readonly shard: number;
  readonly epoch: number;
  readonly inFlight: number;
  /** False while its unfinished transactions are still being loaded. */
  readonly recovered: boolean;
}

/** Since the start. */
export interface Counters {
  begun: number;
  duplicates: number;
  committed: number;
  aborted: number;
  finished: number;
  recovered: number;
  refused: number;
  fenced: number;
  flushes: number;
}

/** Counters, and what is now. */
export interface CoordinatorStats extends Readonly<Counters> {
  readonly inFlight: number;
  readonly undecided: number;
  readonly queued: number;
  readonly lingering: number;
  readonly unsent: number;
  readonly storeStalled: boolean;
  readonly transportStalled: boolean;
  readonly participants: Readonly<Record<string, ParticipantLoad>>;
}

/** Of one coordinator. */
export interface ParticipantLoad {
  /** Undecided transactions that name it, begins that wait included. */
  readonly undecided: number;
  /** How many it may be now. */
  readonly limit: number;
}

export function zeroCounters(): Counters {
  return { begun: 0, duplicates: 0, committed: 0, aborted: 0, finished: 0, recovered: 0, refused: 0, fenced: 0, flushes: 0 };
}
