import type { Ready } from '../machine.js';
import type {
  BranchSpec, Decision, Json, OutcomeStatus, Peers, ProtocolName, Reason, ToCoordinator, ToParticipant, PeerInquiry, PeerState, VoteKind,
} from '../messages.js';
import type { Txid } from '../txid.js';
import type { CoordinatorIgnore, ParticipantIgnore } from './ignores.js';

// ================================================================ coordinator

export interface CoordinatorConfig {
  /** An unacknowledged decision (or one-phase abort) is sent again after this long; then exponential backoff up to maxResendIntervalMs. */
  readonly resendAfterMs: number;
  readonly maxResendIntervalMs: number;
}

/** What a client asked for, immutable from then on. Durable (BEGIN) before any PREPARE leaves. */
export interface TransactionSpec {
  readonly txid: Txid;
  readonly protocol: Exclude<ProtocolName, 'saga'>;
  readonly branches: readonly BranchSpec[];
  readonly createdAtMs: number;
  /** After this, an undecided transaction aborts with PREPARE_TIMEOUT. Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** `finished` makes ABORT ask for ACKs, so that `finished` means applied everywhere. */
  readonly waitFor: 'decided' | 'finished';
}

/** What the coordinator knows of one branch. */
export interface BranchProgress {
  readonly vote: VoteKind | null;
  readonly reason: Reason | null;
  readonly result: Json | null;
  /** True once the branch has acknowledged the decision (or has nothing to acknowledge). */
  readonly acked: boolean;
  /** Times that the message of the current phase was sent: PREPARE until decided, then COMMIT or ABORT. */
  readonly attempts: number;
}

/**
 * preparing   PREPAREs sent, votes outstanding
 * deciding    a DECIDE record is on its way to the register; only REGISTERED moves it on
 * committing  the register holds COMMIT; ACKs outstanding
 * aborting    the register holds ABORT; ACKs outstanding only when the spec asked for them
 * one-phase   PREPARE_AND_COMMIT (or ABORT_ONE_PHASE) sent; the participant decides
 * finished    nothing is owed; may be forgotten
 */
export type CoordinatorPhase = 'preparing' | 'deciding' | 'committing' | 'aborting' | 'one-phase' | 'finished';

export interface CoordinatorState {
  readonly spec: TransactionSpec;
  readonly phase: CoordinatorPhase;
  readonly branches: readonly BranchProgress[];
  /** Set once the register (or the one-phase participant) has spoken. */
  readonly outcome: OutcomeStatus | null;
  readonly reason: Reason | null;
  /** one-phase only: set once an abort was asked for (timeout, cancel), so that resends ask for that. */
  readonly abortAsked: Reason | null;
  readonly decidedAtMs: number | null;
  readonly finishedAtMs: number | null;
}

/** Durable forms. BEGIN precedes PREPAREs; DECIDE goes to the write-once register; END lets the transaction be forgotten. */
export type CoordinatorRecord =
  | { readonly kind: 'BEGIN'; readonly spec: TransactionSpec }
  | { readonly kind: 'DECIDE'; readonly txid: Txid; readonly decision: Decision; readonly reason: Reason | null; readonly branches: readonly BranchProgress[]; readonly atMs: number }
  | { readonly kind: 'END'; readonly txid: Txid; readonly outcome: OutcomeStatus; readonly reason: Reason | null; readonly branches: readonly BranchProgress[]; readonly atMs: number };

export type CoordinatorTimer = 'prepare-timeout' | 'resend';

export type CoordinatorInput =
  | { readonly kind: 'START'; readonly spec: TransactionSpec }
  | { readonly kind: 'MESSAGE'; readonly message: ToCoordinator }
  | { readonly kind: 'TIMER'; readonly timer: CoordinatorTimer; readonly attempt: number }
  /**
   * What the write-once register holds after a DECIDE, whoever put it there. The machine acts on this alone. `branches` is
   * what the register holds of them (another owner that won may know votes that this one does not); absent: own knowledge.
   */
  | { readonly kind: 'REGISTERED'; readonly decision: Decision; readonly reason: Reason | null; /** When it was decided. */ readonly atMs: number; readonly branches?: readonly BranchProgress[] }
  | { readonly kind: 'CANCEL'; readonly reason: Reason }
  /** Operator: stop waiting. Undecided: as CANCEL. Decided: END without the missing ACKs. One-phase: asks for the abort, never ends it. */
  | { readonly kind: 'RESOLVE'; readonly reason: Reason }
  /** Operator: send again what is outstanding, now. */
  | { readonly kind: 'RETRY_NOW' }
  /** A new owner loaded the transaction: BEGIN is durable, `register` is what the register holds, if anything. */
  | { readonly kind: 'RECOVER'; readonly spec: TransactionSpec; readonly register: { readonly decision: Decision; readonly reason: Reason | null; readonly branches: readonly BranchProgress[]; readonly atMs: number } | null };

export interface CoordinatorStep {
  readonly state: CoordinatorState;
  readonly ready: Ready<CoordinatorRecord, ToParticipant, CoordinatorTimer>;
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: CoordinatorIgnore;
}

// ================================================================ participant

/** A branch's durable state; `null` (no row) is a state too. */
export type BranchState = 'prepared' | 'committed' | 'aborted' | 'read-only';

/** The branch row. For an `aborted` tombstone that no PREPARE preceded, operation is '' and payload null. */
export interface BranchRow {
  readonly txid: Txid;
  readonly branch: number;
  readonly state: BranchState;
  readonly onePhase: boolean;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  /** Of a NO vote or an abort. */
  readonly reason: Reason | null;
  /** What the prepare handler returned with its vote. */
  readonly result: Json | null;
  readonly updatedAtMs: number;
}

/** Runs in the same local transaction as the branch row. `prepare-and-commit` runs prepare, then on YES commit. */
export type HandlerAction = 'prepare' | 'commit' | 'abort' | 'prepare-and-commit';

/** What a prepare (or prepare-and-commit) handler said. commit and abort handlers cannot refuse. */
export interface HandlerVote {
  readonly vote: VoteKind;
  readonly reason?: Reason;
  readonly result?: Json;
}

export type ParticipantTimer = 'inquire';

export type ParticipantInput =
  | { readonly kind: 'MESSAGE'; readonly message: ToParticipant }
  | { readonly kind: 'TIMER'; readonly timer: ParticipantTimer; readonly attempt: number }
  /** The handler asked for by `ready.run` has run; `vote` for prepare and prepare-and-commit, null otherwise. */
  | { readonly kind: 'EXECUTED'; readonly vote: HandlerVote | null }
  /** The process (re)started, or was given the partition: the row was loaded, timers are to be armed. */
  | { readonly kind: 'RECOVER' };

export interface ParticipantConfig {
  readonly name: string;
  /** First inquiry this long after a YES vote without a decision; then exponential backoff up to maxInquireIntervalMs. */
  readonly inquireAfterMs: number;
  readonly maxInquireIntervalMs: number;
  /** After this many unanswered inquiries the peers are asked too (cooperative termination). */
  readonly askPeersAfterInquiries: number;
  /**
   * How long after a transaction's creation its branch rows are kept at least. For older transactions a missing row proves
   * nothing, so a peer's inquiry is then answered `uncertain`. Absent: rows are never cleaned up.
   */
  readonly rowsKeptMs?: number;
}

/**
 * The branch between PREPARE and EXECUTED exists in memory only: a crash there forgets it, which is right,
 * because no vote has left.
 */
export type ParticipantState =
  | { readonly phase: 'none' }
  | { readonly phase: 'running'; readonly action: HandlerAction; readonly trigger: ToParticipant; readonly row: BranchRow | null }
  | { readonly phase: 'stored'; readonly row: BranchRow };

export type ParticipantRecord = { readonly kind: 'BRANCH'; readonly row: BranchRow };

export interface ParticipantStep {
  readonly state: ParticipantState;
  readonly ready: Ready<ParticipantRecord, ToCoordinator | PeerInquiry | PeerState, ParticipantTimer> & {
    /** The handler to run before anything else; the next input is then EXECUTED. Records and messages are empty when set. */
    readonly run?: { readonly action: HandlerAction; readonly operation: string; readonly payload: Json; readonly result: Json | null };
  };
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: ParticipantIgnore;
}
