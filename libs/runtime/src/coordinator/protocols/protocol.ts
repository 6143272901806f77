import type { Decision, Envelope, Json, ProtocolMessage, ProtocolName, Reason, SagaAttention, TimerChange } from '#libs/protocol';
import type { BeginRow, BranchReport, DecideRow, EndRow, ProgressRow, RegisterEntry, StoredTransaction, UnfinishedTransaction } from '../../ports.js';

/** What an operator, or a client, may do to a transaction. */
export type ActInput =
  | { readonly kind: 'CANCEL' | 'RESOLVE'; readonly reason: Reason }
  | { readonly kind: 'RETRY_NOW' }
  /** Sagas only. */
  | { readonly kind: 'SKIP_STEP'; readonly step: string; readonly reason: Reason };

export type ProtocolInput =
  | { readonly kind: 'MESSAGE'; readonly message: ProtocolMessage }
  | { readonly kind: 'TIMER'; readonly timer: string; readonly attempt: number }
  /** BEGIN is durable; only for protocols that ask for it (`hearsBegun`). */
  | { readonly kind: 'BEGUN' }
  /** What the write-once register holds after a DECIDE. */
  | { readonly kind: 'REGISTERED' } & RegisterEntry
  | ActInput;

interface Named {
  /** In the timeline. */
  readonly name: string;
  readonly detail: string | null;
}

/** A record of a machine as the store takes it. */
export type DurableRecord =
  | Named & { readonly to: 'begin' }
  /** Lazy: nothing waits for it, and whoever takes over without it can do without it. */
  | Named & { readonly to: 'progress'; readonly row: ProgressRow; readonly isLazy?: true }
  /**
   * register  becomes the decision by winning its place; the machine hears what the register holds (REGISTERED)
   * site      a decision that stands as soon as it is durable, with this flush
   * note      tells readers what has been decided elsewhere; nobody and nothing waits for it
   */
  | Named & { readonly to: 'decide'; readonly as: 'register' | 'site' | 'note'; readonly row: Omit<DecideRow, 'timeline'> }
  | Named & { readonly to: 'end'; readonly row: Omit<EndRow, 'timeline'> };

export interface Stepped<State = unknown> {
  readonly state: State;
  readonly ready: {
    readonly records: readonly DurableRecord[];
    readonly messages: readonly Envelope<ProtocolMessage>[];
    readonly timers: readonly TimerChange<string>[];
  };
  /** The rule by which the input was dropped; absent when it had an effect. */
  readonly ignored?: string;
}

/** What readers are told of a state. */
export interface Facts {
  readonly decision: Decision | null;
  readonly reason: Reason | null;
  /** One per branch or step; fewer if not known. */
  readonly reports: readonly BranchReport[];
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly attention: SagaAttention | null;
}

/** What becomes of a message about a transaction that is not in memory (and whose shard is recovered: so it has ended, or never was). */
export type WhenEnded =
  /** 2pc: ABORT goes into the register if that is empty, and what it holds is the answer. */
  | 'presume-abort'
  /** The tables answer, if it is there and has ended. Nothing is presumed. */
  | 'look-up'
  | 'drop';

/**
 * One protocol as the coordinator driver sees it: a pure machine whose records are rows of the store. `State` is the driver's to keep
 * and nobody's to look into.
 */
export interface Protocol<State = unknown> {
  readonly name: ProtocolName;
  /**
   * What makes a decision one, and so when readers may know of it and messages about it may leave:
   * register   REGISTERED, or a row in the register that nobody else can have written (2pc without a second phase)
   * site       its record is durable
   * acceptors  elsewhere, before the machine heard of it: nothing waits for records of this coordinator any more
   */
  readonly decidedBy: 'register' | 'site' | 'acceptors';
  readonly hearsBegun: boolean;
  /** Kinds of messages that a coordinator takes. */
  readonly takes: ReadonlySet<string>;

  /** @param epoch of the shard's tenure. @throws UnexpectedInputError for a request that the machine does not take */
  start(row: BeginRow, nowMs: number, epoch: number): Stepped<State>;
  recover(unfinished: UnfinishedTransaction, nowMs: number, epoch: number): Stepped<State>;
  /** @throws UnexpectedInputError when no rule covers the input; nothing has changed then */
  step(state: State, input: ProtocolInput, nowMs: number, epoch: number): Stepped<State>;

  isDecided(state: State): boolean;
  facts(state: State): Facts;

  whenEnded(message: ProtocolMessage): WhenEnded;
  /** The answer from the tables of a transaction that has ended, for `look-up`. */
  answerEnded(stored: StoredTransaction, message: ProtocolMessage, nowMs: number): readonly Envelope<ProtocolMessage>[];
}

export const NOTHING_OWED: Stepped['ready'] = { records: [], messages: [], timers: [] };

interface MachineStep<State, Record> {
  readonly state: State;
  readonly ready: { readonly records: readonly Record[]; readonly messages: readonly Envelope<ProtocolMessage>[]; readonly timers: readonly TimerChange<string>[] };
  readonly ignored?: string;
}

/** A machine's step with its records as rows. Most steps have none: those are handed on as they are. */
export function withRows<State, Record>(step: MachineStep<State, Record>, rowsOf: (record: Record, state: State) => readonly DurableRecord[]): Stepped<State> {
  const { records, messages, timers } = step.ready;
  if (records.length === 0) return step as Stepped<State>;
  const rows = records.length === 1 ? rowsOf(records[0]!, step.state) : records.flatMap((record) => rowsOf(record, step.state));
  return { state: step.state, ready: { records: rows, messages, timers } };
}

export const BEGIN: DurableRecord = { to: 'begin', name: 'BEGIN', detail: null };

/** Records are plain data, which their interfaces do not say. */
export function asJson(value: object): Json {
  return value as unknown as Json;
}

/** `COMMIT`, `ABORT OUT_OF_STOCK` */
export function decisionText({ decision, reason }: { readonly decision: Decision; readonly reason: Reason | null }): string {
  return reason === null ? decision : `${decision} ${reason.code}`;
}
