import type { Ready } from '../machine.js';
import type { Json, Peers, Reason } from '../messages.js';
import type { Txid } from '../txid.js';
import type { BranchProgress, HandlerAction, HandlerVote, TransactionSpec } from '../two-phase-commit/types.js';
import type { SiteRow } from './election.js';
import type { CoordinatorIgnore, ParticipantIgnore } from './ignores.js';
import type { Prepare, ThreePhaseMessage, ToCoordinator, ToParticipant } from './messages.js';
import type { Round } from './resolver.js';

/** When an undecided site stands for election. The defaults are `RESOLVER_DEFAULTS`. */
export interface ResolverConfig {
  /**
   * The first election is this long after the vote or the last attempt that was followed; the next ones follow with exponential
   * backoff up to maxResolveIntervalMs. Should be longer than voting takes: an election before all have voted aborts.
   */
  readonly resolveAfterMs: number;
  readonly maxResolveIntervalMs: number;
  /** Added once per site number, so that rivals come one after the other. Should be longer than two round trips and two flushes. */
  readonly staggerMs: number;
}

export const RESOLVER_DEFAULTS: ResolverConfig = { resolveAfterMs: 2000, maxResolveIntervalMs: 30_000, staggerMs: 250 };

// ================================================================ coordinator

/** The defaults are `COORDINATOR_DEFAULTS`. */
export interface CoordinatorConfig extends ResolverConfig {
  /** An unacknowledged decision is sent again after this long; then exponential backoff up to maxResendIntervalMs. */
  readonly resendAfterMs: number;
  readonly maxResendIntervalMs: number;
}

export const COORDINATOR_DEFAULTS: CoordinatorConfig = { ...RESOLVER_DEFAULTS, resendAfterMs: 1000, maxResendIntervalMs: 30_000 };

/**
 * beginning   BEGIN is on its way to the tables; only BEGUN moves it on, so that an owner whose BEGIN is refused has done nothing
 * preparing   PREPAREs sent, votes outstanding; its row says waiting
 * resolving   pre-committed or pre-aborted: its own first attempt, an election of its own or somebody else's, or between two
 * committing  its row says committed; ACKs outstanding
 * aborting    its row says aborted; ACKs outstanding (only when the spec asked for them)
 * finished    nothing is owed; may leave the memory, but not the tables: the row answers who asks late
 */
export type CoordinatorPhase = 'beginning' | 'preparing' | 'resolving' | 'committing' | 'aborting' | 'finished';

export interface CoordinatorState {
  readonly spec: TransactionSpec;
  readonly phase: CoordinatorPhase;
  readonly site: SiteRow;
  readonly branches: readonly BranchProgress[];
  /** beginning only: a client or operator wants no more of it. */
  readonly abortAsked: Reason | null;
  /** What this site attempts or asks for at present; null: nothing, another site does, or nobody. */
  readonly round: Round | null;
  /** The greatest election number that a refusal has told of; 0: none. */
  readonly seen: number;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
}

/** Durable forms, all fenced by the owner's epoch. BEGIN precedes PREPAREs (its row must be new); END: nothing is owed any more. */
export type CoordinatorRecord =
  | { readonly kind: 'BEGIN'; readonly spec: TransactionSpec; readonly site: SiteRow }
  | { readonly kind: 'STATE'; readonly txid: Txid; readonly site: SiteRow; readonly branches: readonly BranchProgress[]; readonly atMs: number }
  | { readonly kind: 'END'; readonly txid: Txid; readonly branches: readonly BranchProgress[]; readonly atMs: number };

export type CoordinatorTimer = 'prepare-timeout' | 'resolve' | 'resend';

export type CoordinatorInput =
  | { readonly kind: 'START'; readonly spec: TransactionSpec }
  | { readonly kind: 'MESSAGE'; readonly message: ToCoordinator }
  | { readonly kind: 'TIMER'; readonly timer: CoordinatorTimer; readonly attempt: number }
  /** BEGIN is durable: the row was new, and it is this owner's. */
  | { readonly kind: 'BEGUN' }
  | { readonly kind: 'CANCEL'; readonly reason: Reason }
  /** Operator: stop waiting. Voting: as CANCEL. Decided: END without the missing ACKs. In between only a majority can decide. */
  | { readonly kind: 'RESOLVE'; readonly reason: Reason }
  /** Operator: send again what is outstanding, or stand for election, now. */
  | { readonly kind: 'RETRY_NOW' }
  /** A new owner loaded the transaction. */
  | {
    readonly kind: 'RECOVER'; readonly spec: TransactionSpec; readonly site: SiteRow; /** As last recorded; empty: only BEGIN was. */ readonly branches: readonly BranchProgress[];
    /** When the decision was recorded; ignored while undecided. */ readonly decidedAtMs: number | null; /** END is durable. */ readonly finished: boolean;
  };

export interface CoordinatorStep {
  readonly state: CoordinatorState;
  readonly ready: Ready<CoordinatorRecord, ThreePhaseMessage, CoordinatorTimer>;
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: CoordinatorIgnore;
}

// ================================================================ participant

/** The branch row. For an `aborted` tombstone that no PREPARE preceded, operation is '' and payload null. */
export interface BranchRow extends SiteRow {
  readonly txid: Txid;
  readonly branch: number;
  /** Voted read-only: a site like any other, but there is nothing to apply or undo. */
  readonly readOnly: boolean;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  /** What the prepare handler returned with its vote. */
  readonly result: Json | null;
  readonly updatedAtMs: number;
}

/** The handlers of two-phase commit, under the same contract; there is no one-phase work. */
export type BranchAction = Exclude<HandlerAction, 'prepare-and-commit'>;

export type ParticipantTimer = 'resolve';

export type ParticipantInput =
  | { readonly kind: 'MESSAGE'; readonly message: ToParticipant }
  | { readonly kind: 'TIMER'; readonly timer: ParticipantTimer; readonly attempt: number }
  /** The handler asked for by `ready.run` has run; `vote` for prepare, null otherwise. */
  | { readonly kind: 'EXECUTED'; readonly vote: HandlerVote | null }
  /** The process (re)started, or was given the partition: the row was loaded, timers are to be armed. */
  | { readonly kind: 'RECOVER' };

export interface ParticipantConfig extends ResolverConfig {
  readonly name: string;
  /**
   * How long after a transaction's creation its branch rows are kept at least. For older transactions a missing row proves
   * nothing, so nobody who asks is answered then. Absent: rows are never cleaned up.
   */
  readonly rowsKeptMs?: number;
}

/** How a branch learnt its decision, and so what it owes for it. */
export interface Verdict {
  readonly decision: 'COMMIT' | 'ABORT';
  readonly reason: Reason | null;
  /** The site that waits for an ACK; null: none. */
  readonly ackTo: number | null;
  /** The sites to be told, when this one has resolved the transaction. */
  readonly tell: readonly number[];
}

/** A branch between PREPARE and EXECUTED exists in memory only: a crash there forgets it, which is right, because no vote has left. */
export type ParticipantState =
  | { readonly phase: 'none' }
  | { readonly phase: 'working'; readonly prepare: Prepare }
  | { readonly phase: 'applying'; readonly row: BranchRow; readonly verdict: Verdict }
  | { readonly phase: 'stored'; readonly row: BranchRow; readonly round: Round | null; /** As for the coordinator. */ readonly seen: number };

export type ParticipantRecord = { readonly kind: 'BRANCH'; readonly row: BranchRow };

export interface ParticipantStep {
  readonly state: ParticipantState;
  readonly ready: Ready<ParticipantRecord, ThreePhaseMessage, ParticipantTimer> & {
    /** The handler to run before anything else; the next input is then EXECUTED. Records and messages are empty when set. */
    readonly run?: { readonly action: BranchAction; readonly operation: string; readonly payload: Json; readonly result: Json | null };
  };
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: ParticipantIgnore;
}
