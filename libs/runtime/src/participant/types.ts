import type { HandlerAction, HandlerVote, Json, Message, ProtocolName, SagaHandlerAction, SagaInputs, Txid } from '#libs/protocol';
import type { BranchTransaction } from '../ports.js';
import { QUICK_BACKOFF, type Backoff } from '../retry.js';

/** One handler to be run for one branch, inside the database transaction that also writes the branch's row. */
export interface HandlerCall {
  readonly action: HandlerAction | SagaHandlerAction;
  /** Of the branch; handlers do the same whatever it is, whoever counts them may not. */
  readonly protocol: ProtocolName;
  readonly operation: string;
  readonly payload: Json;
  /** Results of the earlier steps, for execute; {} otherwise. */
  readonly inputs: SagaInputs;
  /** What the prepare (or execute) handler returned; null before there was one. */
  readonly result: Json | null;
  readonly txid: Txid;
  readonly branch: number;
}

/**
 * `vote` is what a prepare, prepare-and-commit or execute handler said (execute: yes or no), null for commit, abort and compensate.
 * `ok: false` means that this handler failed and that none of its effects remain: a prepare then votes NO (HANDLER_FAILED), a commit or
 * abort parks its branch, a saga's step answers FAILED and is asked again by its coordinator.
 */
export type HandlerResult = { readonly ok: true; readonly vote: HandlerVote | null } | { readonly ok: false; readonly error: unknown };

export interface HandlerRunner<Handle> {
  /**
   * Runs calls of any actions, no two for the same branch; results in the order of the calls. The runner chooses the order of
   * work, and sees all calls at once so that it can lock what they share in one order and put alike calls together. A call
   * that fails must not take its neighbours down (savepoints). Throws only for faults of the database, which run the whole
   * transaction again.
   */
  run(tx: BranchTransaction<Handle>, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]>;
}

/** A branch that has voted YES and has not heard the decision. */
export interface InDoubtBranch {
  readonly txid: Txid;
  readonly branch: number;
  readonly protocol: Exclude<ProtocolName, 'saga'>;
  /** When the YES became durable (3pc, after a restart: when its row was written last), milliseconds since the epoch. */
  readonly sinceMs: number;
  /** The same as an age; setting the clock does not change it. */
  readonly ageMs: number;
  /**
   * It did what it can, and nobody could tell. 2pc: the coordinator and the peers were asked. 3pc: an election found no majority.
   * paxos-commit: the leader on this site found no majority of the acceptors.
   */
  readonly blocked: boolean;
}

/** A branch whose commit or abort handler fails. The decision stands; the handler is repeated until it succeeds. */
export interface ParkedBranch {
  readonly txid: Txid;
  readonly branch: number;
  readonly action: 'commit' | 'abort';
  readonly operation: string;
  /** The first failure, milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Failures so far. */
  readonly attempts: number;
  /** When the handler runs again, milliseconds since the epoch. */
  readonly retryAtMs: number;
  /** What it failed with last, for people. */
  readonly error: string;
}

export interface ParticipantFlush {
  /** Branches and steps. */
  readonly branches: number;
  /** Messages, timers and repetitions that were worked off. */
  readonly inputs: number;
  readonly handlerCalls: number;
  readonly rows: number;
  /** From the start of the first attempt to the end of the last, in milliseconds. */
  readonly ms: number;
}

export interface ParticipantErrorContext {
  /**
   * transaction: the database failed, it will be tried again. step: an input broke the protocol and was skipped. dropped: a
   * message that could not be processed is in the dead-letter topic. send, recovery: will be tried again. defect: this program is at
   * fault; it will be tried again, and at last the messages are put into the dead-letter topic.
   */
  readonly activity: 'transaction' | 'step' | 'dropped' | 'send' | 'recovery' | 'defect';
  readonly txid?: Txid;
  readonly branch?: number;
  readonly message?: Message;
  /** Counts from 0. */
  readonly attempt?: number;
}

/** What operators see. Its methods must not throw. */
export interface ParticipantObserver {
  /** One local database transaction is durable. */
  flushed?(flush: ParticipantFlush): void;
  /** Called for every failure of the branch; alert from some number of `attempts` on. */
  parked?(branch: ParkedBranch): void;
  /** The handler has succeeded, or the row shows that there is nothing left to do. */
  unparked?(branch: ParkedBranch): void;
  error?(error: unknown, context: ParticipantErrorContext): void;
}

export interface ParticipantOptions {
  /** Partitions of this participant's inbox: a transaction belongs to partition shardOf(txid) % partitions. */
  readonly partitions: number;
  /** False when somebody else (the Nest strategy) calls assigned() and deliver(). */
  readonly subscribe: boolean;
  /** Database transactions in flight at once; a partition stays in its lane. */
  readonly lanes: number;
  /** Waiting deliveries are put together into one transaction of about this many inputs; a delivery is never split. */
  readonly maxBatch: number;
  /** deliver() resolves late while this many inputs wait in its lane, or this many messages wait to be sent. */
  readonly maxQueued: number;
  /** How long acknowledgements wait for company. */
  readonly lazyMs: number;
  /** Between attempts of a database transaction. */
  readonly retry: Backoff;
  /** Between runs of a parked handler. */
  readonly park: Backoff;
  /** stop() waits so long for a transport that does not take the last messages. */
  readonly drainMs: number;
  /** Undecided rows per page when they are looked for. */
  readonly recoveryPage: number;
  /** How often undecided rows are looked for that nobody waits for (written by an owner that had lost the partition). */
  readonly sweepEveryMs: number;
  /** What is kept beside rows (votes that wait for the others, rounds and ballots under way) is forgotten so long after it changed last. */
  readonly memoryKeptMs: number;
  /** The oldest of it is forgotten beyond so many. */
  readonly maxMemories: number;
}

export const DEFAULT_PARTICIPANT_OPTIONS = {
  subscribe: true,
  lanes: 1,
  maxBatch: 1_000,
  maxQueued: 4_000,
  lazyMs: 5,
  retry: QUICK_BACKOFF,
  park: { firstMs: 200, maxMs: 30_000 },
  drainMs: 5_000,
  recoveryPage: 1_000,
  sweepEveryMs: 60_000,
  memoryKeptMs: 300_000,
  maxMemories: 50_000,
} as const satisfies Omit<ParticipantOptions, 'partitions'>;

export interface ParticipantStats {
  /** Database transactions that became durable. */
  readonly transactions: number;
  /** Database transactions that were tried again. */
  readonly retries: number;
  readonly inputs: number;
  readonly handlerCalls: number;
  /** Inputs that broke the protocol. */
  readonly skipped: number;
  /** Rows written, by their state. */
  readonly prepared: number;
  readonly committed: number;
  readonly aborted: number;
  readonly readOnly: number;
  readonly preCommitted: number;
  readonly preAborted: number;
  readonly executed: number;
  readonly refused: number;
  readonly compensated: number;
  readonly cancelled: number;
  readonly acceptorRows: number;
  /** Ballots that this site has led. */
  readonly ballots: number;
  /** Now. */
  readonly queued: number;
  readonly unsent: number;
  readonly inDoubt: number;
  readonly blocked: number;
  readonly parked: number;
  /** States that are kept beside rows. */
  readonly remembered: number;
  readonly partitions: readonly number[];
}
