import type {
  BranchProgress, BranchRow, CoordinatorRecord, Decision, Envelope, Json, Message, OutcomeStatus, ProtocolName, Reason, TransactionSpec, Txid,
} from '#libs/protocol';

// ================================================================ clock

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
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
  readonly status: OutcomeStatus;
  readonly reason: Reason | null;
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

export interface BeginRow {
  readonly spec: TransactionSpec;
  readonly metadata: Json;
  readonly idempotency: Idempotency | null;
}

export interface DecideRow {
  readonly record: Extract<CoordinatorRecord, { kind: 'DECIDE' }>;
  readonly timeline: readonly TimelineEvent[];
}

export interface EndRow {
  readonly record: Extract<CoordinatorRecord, { kind: 'END' }>;
  readonly timeline: readonly TimelineEvent[];
}

export interface RegisterEntry {
  readonly decision: Decision;
  readonly reason: Reason | null;
  readonly branches: readonly BranchProgress[];
  readonly atMs: number;
}

export interface CoordinatorFlush {
  /** The epochs under which the records were made, one per shard that occurs. */
  readonly epochs: readonly ShardEpoch[];
  readonly begins: readonly BeginRow[];
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
}

// ================================================================ coordinator views (memory and read side alike)

export interface BranchView {
  readonly index: number;
  readonly participant: string;
  readonly operation: string;
  /** waiting (no vote yet), prepared, read-only, refused, committed, aborted. */
  readonly state: 'waiting' | 'prepared' | 'read-only' | 'refused' | 'committed' | 'aborted';
  readonly vote: 'yes' | 'no' | 'read-only' | null;
  readonly result: Json | null;
  readonly attempts: number;
}

export interface TransactionView {
  readonly txid: Txid;
  readonly protocol: ProtocolName;
  readonly status: 'pending' | 'committed' | 'aborted';
  readonly reason: Reason | null;
  readonly branches: readonly BranchView[];
  readonly createdAtMs: number;
  readonly deadlineMs: number;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly metadata: Json;
}

// ================================================================ participant store

export interface BranchKey {
  readonly txid: Txid;
  readonly branch: number;
}

/** One local database transaction of a participant; `Handle` is what handlers get (a TypeORM EntityManager). */
export interface BranchTransaction<Handle> {
  readonly handle: Handle;
  /** Existing rows of these branches, locked until the flush. */
  load(keys: readonly BranchKey[]): Promise<readonly BranchRow[]>;
  /**
   * Inserts rows that `load` did not find and updates those it did. If another process inserted one meanwhile, rejects with
   * a database fault, so that the batch runs again.
   */
  save(rows: readonly BranchRow[]): Promise<void>;
  /**
   * Runs `work` under a savepoint; what it throws rolls back to there and is thrown again. A fault of the database that `work`
   * caught and kept to itself is thrown too: at once, or, `unchecked`, only by the flush (which saves a round trip).
   */
  savepoint<T>(work: () => Promise<T>, release?: 'unchecked'): Promise<T>;
}

export interface BranchStore<Handle> {
  /** Runs `work` in ONE local database transaction and flushes it. */
  transact<T>(work: (tx: BranchTransaction<Handle>) => Promise<T>): Promise<T>;
  /** Prepared branches in key order, starting after `after`, without payloads being needed; fewer than `limit` means the end. */
  loadPrepared(after: BranchKey | null, limit: number): Promise<readonly BranchRow[]>;
  /** True for faults that go away by themselves (connection, deadlock, serialization, shutdown, resources): try again. */
  isTransient(error: unknown): boolean;
}

// ================================================================ errors

export type UnavailableCode = 'NO_SHARD' | 'OVERLOADED' | 'STORE_UNAVAILABLE' | 'TRANSPORT_UNAVAILABLE' | 'SHUTTING_DOWN';

/** The coordinator cannot take the request now; nothing of it will ever commit. Maps to 429 (OVERLOADED) or 503 with Retry-After. */
export class UnavailableError extends Error {
  constructor(readonly code: UnavailableCode, message: string, readonly retryAfterMs: number) {
    super(message);
    this.name = 'UnavailableError';
  }
}
