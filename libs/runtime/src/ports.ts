import type {
  AcceptorRow, Acceptors, Ballot, BranchProgress, BranchRow, Decision, Envelope, Json, Message, PaxosBranchRow, PaxosGroup, ProtocolName, Reason, SagaAttention,
  SagaProgress, SagaRow, SagaSpec, SagaStepReport, SagaStepSpec, ThreePhaseBranchRow, TransactionOutcome, TransactionSpec, Txid,
} from '#libs/protocol';

// ================================================================ clock

export interface Clock {
  /** Milliseconds since the epoch: what the wall says. It may jump. */
  now(): number;
  /** Milliseconds since some moment of this process; never jumps, whatever is done to the wall clock. */
  elapsed(): number;
  /** Calls `fire` once, no earlier than `atMs`; the returned function takes it back. */
  at(atMs: number, fire: () => void): () => void;
}

// ================================================================ transport

/** Some messages from one partition, in the partition's order. */
export interface InboundBatch {
  readonly partition: number;
  readonly messages: readonly Message[];
  /** To be called once everything that follows from the messages is durable and sent; lets the offset advance. */
  done(): void;
  /** Puts one message into the dead-letter topic (with the record's origin and the error) and resolves when it is there. */
  deadLetter(message: Message, error: Error): Promise<void>;
}

export interface Subscriber {
  /**
   * The whole set of partitions that this member now owns (after every rebalance). Partitions not in the previous set
   * are delivered only after the promise resolves; those no longer in it must be let go of.
   */
  assigned(partitions: readonly number[]): Promise<void>;
  /** May resolve before the batch is processed; a late resolve is backpressure. A rejection redelivers the batch. */
  deliver(batch: InboundBatch): Promise<void>;
}

export type Inbox = { readonly role: 'coordinator' } | { readonly role: 'participant'; readonly name: string };

export interface Subscription {
  /** Stops delivery, saves offsets of what is done, leaves the group. */
  close(): Promise<void>;
}

/** A CloudEvents 1.0 event for `concordat.outcomes`, keyed by txid. */
export interface OutcomeEvent {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly status: TransactionOutcome;
  readonly reason: Reason | null;
  /** Of a saga: when its outcome was reached. */
  readonly decidedAtMs: number;
}

/** At-least-once, ordered within (inbox, shard) while nothing fails. */
export interface Transport {
  /**
   * Resolves when all are acknowledged by the broker; a rejection means that any subset may have left. One call per batch, not per
   * message. A rejection with the code MESSAGE_TOO_LARGE means that one of the messages or outcomes can never leave.
   */
  send(envelopes: readonly Envelope[], outcomes?: readonly OutcomeEvent[]): Promise<void>;
  subscribe(inbox: Inbox, subscriber: Subscriber): Promise<Subscription>;
  /** False while the broker is known to be out of reach. */
  healthy(): boolean;
  close(): Promise<void>;
}

// ================================================================ coordinator store

export interface ShardEpoch {
  readonly shard: number;
  /** Fencing token: grows by one with every change of owner. */
  readonly epoch: number;
}

/** One thing that happened to a transaction, for its timeline. */
export interface TimelineEvent {
  readonly atMs: number;
  readonly type: 'record' | 'send' | 'receive';
  /** Record or message kind: BEGIN, PREPARE, VOTE, DECIDE, ... */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly branch?: number;
  /** For people: `yes`, `COMMIT`, a reason code, ... */
  readonly detail?: string;
}

export interface Idempotency {
  /** 1..255 characters. */
  readonly key: string;
  /** SHA-256 of the canonical request, hex. */
  readonly requestHash: string;
}

export type Spec = TransactionSpec | SagaSpec;

export interface BeginRow {
  readonly spec: Spec;
  /** Of paxos-commit; empty otherwise. */
  readonly acceptors: Acceptors;
  readonly metadata: Json;
  readonly idempotency: Idempotency | null;
}

/**
 * What an unfinished transaction must remember besides its begin and its decision. One row per (txid, kind, key); a later one replaces
 * it. Gone with END.
 *
 * STATE      3pc: the coordinator's site row until it is decided, and what it knows of the branches
 * LEAD       paxos-commit: the greatest ballot that the coordinator has led
 * SENT       saga: a step whose EXECUTE may have left, and its inputs
 * SKIP       saga: a step that an operator skipped, and why
 * ATTENTION  saga: the transaction needs a person
 */
export type ProgressKind = 'STATE' | 'LEAD' | 'SENT' | 'SKIP' | 'ATTENTION';

export interface ProgressRow {
  readonly txid: Txid;
  readonly kind: ProgressKind;
  /** Of SENT and SKIP the step's id; '' otherwise. */
  readonly key: string;
  readonly data: Json;
}

/** What was known of a branch (or step) when it was written: of 2pc and 3pc, of paxos-commit (no result, no attempts), of a saga. */
export type BranchReport = BranchProgress | PaxosBranchReport | SagaStepReport;

/** What the leader of paxos-commit knows of a branch, as it is stored. */
export type PaxosBranchReport = Pick<BranchProgress, 'vote' | 'reason' | 'acked'>;

/**
 * A decision. 2pc and saga: it becomes one by winning its place in the write-once register. 3pc: the coordinator's own site has decided,
 * which this makes durable. paxos-commit: the acceptors have decided, and this only tells readers.
 */
export interface DecideRow {
  readonly txid: Txid;
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly BranchReport[];
  readonly atMs: number;
  readonly timeline: readonly TimelineEvent[];
}

export interface EndRow {
  readonly txid: Txid;
  readonly outcome: TransactionOutcome;
  readonly reason: Reason | null;
  /** Set when an operator ended a saga although something was outstanding. */
  readonly resolved: Reason | null;
  readonly branches: readonly BranchReport[];
  readonly atMs: number;
  readonly timeline: readonly TimelineEvent[];
}

export interface RegisterEntry {
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly BranchReport[];
  readonly atMs: number;
}

export interface CoordinatorFlush {
  /** The epochs under which the records were made, one per shard that occurs. */
  readonly epochs: readonly ShardEpoch[];
  readonly begins: readonly BeginRow[];
  readonly progress: readonly ProgressRow[];
  readonly decisions: readonly DecideRow[];
  readonly ends: readonly EndRow[];
}

export interface CoordinatorFlushResult {
  /** Shards whose epoch has moved on: none of their records were written. */
  readonly fenced: readonly number[];
  /** Begins whose idempotency key belongs to an earlier transaction: not begun. By the txid that was refused. */
  readonly duplicates: ReadonlyMap<Txid, { readonly txid: Txid; readonly requestHash: string }>;
  /** What the write-once register holds for every decision that was asked for and not fenced. */
  readonly register: ReadonlyMap<Txid, RegisterEntry>;
}

/** A transaction without END, as recovery finds it. */
export interface UnfinishedTransaction {
  readonly begin: BeginRow;
  readonly register: RegisterEntry | null;
  readonly progress: readonly ProgressRow[];
}

/** A transaction as the tables have it, ended or not. */
export interface StoredTransaction extends UnfinishedTransaction {
  readonly end: Omit<EndRow, 'timeline'> | null;
}

/** All operations are sets. Every rejection is a fault of the database and may be retried: all writes are idempotent. */
export interface CoordinatorStore {
  /** Raises the epoch of each shard and records the owner; from then on flushes with older epochs are fenced. */
  acquireShards(shards: readonly number[], owner: string): Promise<readonly ShardEpoch[]>;
  /** The current epochs, to learn whether a shard that a rebalance gave back was owned by somebody else meanwhile. */
  shardEpochs(shards: readonly number[]): Promise<readonly ShardEpoch[]>;
  /** Unfinished transactions of a shard in txid order, starting after `after`; fewer than `limit` means the end. */
  loadUnfinished(shard: number, after: Txid | null, limit: number): Promise<readonly UnfinishedTransaction[]>;
  /** ONE local database transaction. */
  flush(batch: CoordinatorFlush): Promise<CoordinatorFlushResult>;
  /**
   * Presumed abort: for transactions that are not in memory, inserts ABORT (NO_RECORD) into each register that is empty and
   * returns what every register holds.
   */
  presumeAbort(txids: readonly Txid[], atMs: number): Promise<ReadonlyMap<Txid, RegisterEntry>>;
  /** For messages about transactions of 3pc and paxos-commit that are not in memory any more. Those that are not there are left out. */
  lookUp(txids: readonly Txid[]): Promise<ReadonlyMap<Txid, StoredTransaction>>;
}

// ================================================================ coordinator views (memory and read side alike)

export interface BranchView {
  readonly index: number;
  readonly participant: string;
  readonly operation: string;
  /**
   * Of a branch: waiting (no vote yet), prepared, read-only, refused, committed, aborted.
   * Of a saga's step: waiting, sent, done, refused, compensating, compensated, skipped.
   */
  readonly state: 'waiting' | 'prepared' | 'read-only' | 'refused' | 'committed' | 'aborted' | Exclude<SagaProgress['state'], 'waiting' | 'refused'>;
  readonly vote: 'yes' | 'no' | 'read-only' | null;
  readonly result: Json | null;
  /** Of a refusal, or of a step's last failure. */
  readonly reason: Reason | null;
  readonly attempts: number;
  /** Of a saga's step; null for a branch. */
  readonly step: Pick<SagaStepSpec, 'id' | 'kind'> & { readonly after: readonly string[] } | null;
}

/**
 * Of a saga: running (also when it is decided that it will complete), completed, compensating, compensated; needs-attention instead of
 * running or compensating while it needs a person.
 */
export type TransactionStatus = 'pending' | 'committed' | 'aborted' | 'running' | 'completed' | 'compensating' | 'compensated' | 'needs-attention';

export interface TransactionView {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly status: TransactionStatus;
  /** The word of the decision; null while undecided. */
  readonly decision: Decision | null;
  readonly reason: Reason | null;
  readonly branches: readonly BranchView[];
  readonly createdAtMs: number;
  readonly deadlineMs: number;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
  /** Of a saga that needs a person. */
  readonly attention: SagaAttention | null;
  /** Set when an operator ended it although something was outstanding. */
  readonly resolved: Reason | null;
  readonly metadata: Json;
}

// ================================================================ participant store

export interface BranchKey {
  readonly txid: Txid;
  readonly branch: number;
}

/** The row of a branch (or saga step) of any protocol. */
export type AnyBranchRow =
  | { readonly protocol: '2pc' } & BranchRow
  | { readonly protocol: '3pc' } & ThreePhaseBranchRow
  | { readonly protocol: 'paxos-commit' } & PaxosBranchRow
  | { readonly protocol: 'saga' } & SagaRow;

/** The leader of Paxos Commit on a participant's site: the greatest ballot that it has led in this transaction. */
export interface LeaderRow {
  readonly group: PaxosGroup;
  readonly ballot: Ballot;
}

/** What one site of a transaction may have in its database: one branch row per branch, at most one of the others per transaction. */
export interface SiteKeys {
  readonly branches: readonly BranchKey[];
  readonly acceptors: readonly Txid[];
  readonly leaders: readonly Txid[];
}

export interface SiteRows {
  readonly branches: readonly AnyBranchRow[];
  readonly acceptors: readonly AcceptorRow[];
  readonly leaders: readonly LeaderRow[];
}

/** What the caller takes the database to have of some branches: these rows, which this process has seen last, and none of the others. */
export interface ExpectedBranches {
  readonly present: readonly AnyBranchRow[];
  readonly absent: readonly BranchKey[];
}

/** The code of the fault that a row was written by another process meanwhile, or is not as expected: the batch has to see it first. */
export const BRANCH_RACE = 'BRANCH_RACE';

/** One local database transaction of a participant; `Handle` is what handlers get (a TypeORM EntityManager). */
export interface BranchTransaction<Handle> {
  readonly handle: Handle;
  /**
   * Existing rows of these keys, locked until the flush. Those that are `expected` need not be looked up: the store may take the
   * caller's word for them, because `save` finds out. Whoever does not write one in the end has to load it without that word.
   */
  load(keys: SiteKeys, expected?: ExpectedBranches): Promise<SiteRows>;
  /**
   * Inserts rows that `load` did not find and updates those it did. If another process inserted one meanwhile, or one is not in the state
   * that was expected, the flush rejects with a transient fault with the code BRANCH_RACE, so that the batch runs again.
   */
  save(rows: SiteRows): Promise<void>;
  /**
   * Runs `work` under a savepoint; what it throws rolls back to there and is thrown again. A fault of the database that `work`
   * caught and kept to itself is thrown too: at once, or, `unchecked`, only by the flush (which saves a round trip).
   */
  savepoint<T>(work: () => Promise<T>, release?: 'unchecked'): Promise<T>;
  /** Resolves when the next statement of a handler is on its way: those that come later run after it. Absent: nobody can tell. */
  sent?(): Promise<void>;
}

export interface BranchStore<Handle> {
  /** Runs `work` in ONE local database transaction and flushes it. */
  transact<T>(work: (tx: BranchTransaction<Handle>) => Promise<T>): Promise<T>;
  /**
   * Branches that have voted YES and do not know the decision (states prepared, pre-committed, pre-aborted; not of sagas) in key order,
   * starting after `after`, without payloads being needed; fewer than `limit` means the end.
   */
  loadUndecided(after: BranchKey | null, limit: number): Promise<readonly AnyBranchRow[]>;
  /** True for faults that go away by themselves (connection, deadlock, serialization, shutdown, resources): try again. */
  isTransient(error: unknown): boolean;
}

// ================================================================ errors

/** Too much is under way: in all, or of a participant. */
export type OverloadCode = 'OVERLOADED' | 'PARTICIPANT_OVERLOADED';
export type UnavailableCode = OverloadCode | 'NO_SHARD' | 'STORE_UNAVAILABLE' | 'TRANSPORT_UNAVAILABLE' | 'SHUTTING_DOWN';

/** The coordinator cannot take the request now; nothing of it will ever commit. Maps to 429 (OVERLOADED, PARTICIPANT_OVERLOADED) or 503 with Retry-After. */
export class UnavailableError extends Error {
  constructor(readonly code: UnavailableCode, message: string, readonly retryAfterMs: number) {
    super(message);
    this.name = 'UnavailableError';
  }
}
