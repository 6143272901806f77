import type { Ready } from '../machine.js';
import type { OutcomeStatus, Peers, Reason, VoteKind } from '../messages.js';
import type { Txid } from '../txid.js';
import type { BranchRow, HandlerAction, HandlerVote, TransactionSpec } from '../two-phase-commit/types.js';
import type { Ballot } from './ballot.js';
import type { AcceptorIgnore, PaxosLeaderIgnore, PaxosParticipantIgnore } from './ignores.js';
import type {
  Accepted, Acceptors, InstanceValue, Lead, LeaderAddress, PaxosAck, PaxosAddress, PaxosInquiry, PaxosVote, Phase1b, Phase2a, Phase2b, Refused, ToAcceptor,
  ToPaxosLeader, ToPaxosParticipant,
} from './messages.js';

// ================================================================ leader

export interface PaxosLeaderConfig {
  /** Second part of this leader's ballots: no two leaders, and no two ownerships of one coordinator shard, share it. Above 0. */
  readonly leader: number;
  readonly address: LeaderAddress;
  /** What is unanswered is sent again after this long; then exponential backoff up to maxResendIntervalMs. */
  readonly resendAfterMs: number;
  readonly maxResendIntervalMs: number;
  /** Added to every wait of a ballot. Different at each site, so that rivals do not keep passing each other. */
  readonly staggerMs: number;
  /** How often a leader on a participant's site repeats itself before it rests. Its participant asks again if still in doubt. */
  readonly mostRepeats: number;
}

/** Who takes part: all that a leader must know, besides its ballot, to find the decision. */
export interface PaxosGroup {
  readonly txid: Txid;
  readonly peers: Peers;
  readonly acceptors: Acceptors;
}

/** What a leader knows of one branch. */
export interface PaxosBranch {
  readonly vote: VoteKind | null;
  /** Of a NO. */
  readonly reason: Reason | null;
  /** True once the branch has acknowledged the decision (or has nothing to acknowledge). */
  readonly acked: boolean;
}

/**
 * preparing   coordinator: PREPAREs sent; ballot 0 is the participants', this leader listens for its 2b's
 * reading     1a sent in an own ballot; waits for the 1b's of a majority
 * writing     2a sent in an own ballot; waits for the 2b's of a majority
 * committing  coordinator: committed; ACKs outstanding
 * aborting    coordinator: aborted; ACKs outstanding (only when the client waits for `finished`)
 * finished    coordinator: nothing is owed; may be forgotten
 * telling     leader on a participant's site: decided; repeats the decision some times
 * resting     leader on a participant's site: leads again when asked
 */
export type PaxosLeaderPhase = 'preparing' | 'reading' | 'writing' | 'committing' | 'aborting' | 'finished' | 'telling' | 'resting';

export interface PaxosLeaderState {
  readonly group: PaxosGroup;
  /** What a client asked for; null on a participant's site, where nobody is owed an answer or an END. */
  readonly spec: TransactionSpec | null;
  readonly phase: PaxosLeaderPhase;
  /** The ballot that this leader listens to. */
  readonly ballot: Ballot;
  /** The greatest `n` that this leader was refused for; its next ballot is greater. */
  readonly seenN: number;
  /** reading: what each acceptor has accepted, by acceptor; null: no 1b of this ballot yet. Empty in all other phases. */
  readonly promises: readonly (readonly (Accepted | null)[] | null)[];
  /** preparing, writing: true where a 2b of this ballot has come, by acceptor. Empty in all other phases. */
  readonly accepts: readonly boolean[];
  /** What this ballot proposes, or (ballot 0) what the first 2b says, by branch; null until that is known. */
  readonly values: readonly InstanceValue[] | null;
  readonly branches: readonly PaxosBranch[];
  /** Why the transaction is to be aborted where it still can. */
  readonly asked: Reason | null;
  readonly outcome: OutcomeStatus | null;
  /** Of an abort. */
  readonly reason: Reason | null;
  readonly decidedAtMs: number | null;
}

/**
 * BEGIN precedes PREPAREs; LEAD, the leader's greatest ballot, precedes its 1a's and is stored only over a smaller one; END lets the
 * transaction be forgotten.
 */
export type PaxosLeaderRecord =
  | { readonly kind: 'BEGIN'; readonly spec: TransactionSpec; readonly acceptors: Acceptors }
  | { readonly kind: 'LEAD'; readonly group: PaxosGroup; readonly ballot: Ballot }
  | {
    readonly kind: 'END'; readonly txid: Txid; readonly outcome: OutcomeStatus; readonly reason: Reason | null; readonly branches: readonly PaxosBranch[];
    readonly atMs: number;
  };

export type PaxosLeaderTimer = 'prepare-timeout' | 'ballot' | 'resend';

export type PaxosLeaderInput =
  | { readonly kind: 'START'; readonly spec: TransactionSpec; readonly acceptors: Acceptors }
  | { readonly kind: 'MESSAGE'; readonly message: ToPaxosLeader }
  | { readonly kind: 'TIMER'; readonly timer: PaxosLeaderTimer; readonly attempt: number }
  | { readonly kind: 'CANCEL'; readonly reason: Reason }
  /** Operator: stop waiting. Undecided: as CANCEL. Decided: END without the missing ACKs. */
  | { readonly kind: 'RESOLVE'; readonly reason: Reason }
  /** Operator: send again what is outstanding, now. */
  | { readonly kind: 'RETRY_NOW' }
  /** A coordinator loaded the transaction: BEGIN is durable and END is not. `ballot` is the last LEAD's, if there is one. */
  | { readonly kind: 'RECOVER'; readonly group: PaxosGroup; readonly spec: TransactionSpec; readonly ballot: Ballot | null };

export interface PaxosLeaderStep {
  readonly state: PaxosLeaderState;
  readonly ready: Ready<PaxosLeaderRecord, ToPaxosParticipant | ToAcceptor, PaxosLeaderTimer, PaxosAddress>;
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: PaxosLeaderIgnore;
}

// ================================================================ acceptor

export interface AcceptorConfig {
  readonly name: string;
  /** How long after a transaction's creation its row is kept at least. Absent: rows are never cleaned up. */
  readonly rowsKeptMs?: number;
}

/** One acceptor's part of one transaction. Durable before any 1b or 2b that says so leaves. */
export interface AcceptorRow {
  readonly txid: Txid;
  readonly peers: Peers;
  /** No smaller ballot gets anything here any more. One promise covers all instances of the transaction. */
  readonly promised: Ballot;
  /** The last vote in each instance, by branch. */
  readonly accepted: readonly (Accepted | null)[];
}

/** Votes of ballot 0 wait in memory until all are there: one row and one 2b for all of them. A crash loses them; they are repeated. */
export type AcceptorState =
  | { readonly phase: 'gathering'; readonly txid: Txid; readonly peers: Peers; readonly values: readonly (InstanceValue | null)[] }
  | { readonly phase: 'stored'; readonly row: AcceptorRow };

export type AcceptorInput = { readonly kind: 'MESSAGE'; readonly message: ToAcceptor };
export type AcceptorRecord = { readonly kind: 'ACCEPTOR'; readonly row: AcceptorRow };

export interface AcceptorStep {
  readonly state: AcceptorState | null;
  readonly ready: Ready<AcceptorRecord, Phase1b | Phase2b | Refused, never, PaxosAddress>;
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: AcceptorIgnore;
}

// ================================================================ participant

export interface PaxosParticipantConfig {
  readonly name: string;
  /** A vote without a decision is repeated to all acceptors after this long; then exponential backoff up to maxRepeatIntervalMs. */
  readonly repeatAfterMs: number;
  readonly maxRepeatIntervalMs: number;
  /** Added to every wait. Different at each site, so that not all branches lead at once. */
  readonly staggerMs: number;
  /** After this many repetitions the leader on the own site is asked to find the decision. At least 1. */
  readonly leadAfterRepeats: number;
  /** How long after a transaction's creation its branch rows are kept at least. Absent: rows are never cleaned up. */
  readonly rowsKeptMs?: number;
}

/** The branch row of two-phase commit, and where the vote goes. */
export interface PaxosBranchRow extends Omit<BranchRow, 'onePhase'> {
  readonly acceptors: Acceptors;
}

export type PaxosHandlerAction = Exclude<HandlerAction, 'prepare-and-commit'>;

export type PaxosParticipantTimer = 'in-doubt';

export type PaxosParticipantInput =
  | { readonly kind: 'MESSAGE'; readonly message: ToPaxosParticipant }
  | { readonly kind: 'TIMER'; readonly timer: PaxosParticipantTimer; readonly attempt: number }
  /** The handler asked for by `ready.run` has run; `vote` for prepare, null otherwise. */
  | { readonly kind: 'EXECUTED'; readonly vote: HandlerVote | null }
  /** The process (re)started: the row was loaded, timers are to be armed. */
  | { readonly kind: 'RECOVER' };

/** `running` exists in memory only: a crash there forgets it, which is right, because no vote has left. */
export type PaxosParticipantState =
  | { readonly phase: 'none' }
  | { readonly phase: 'running'; readonly action: PaxosHandlerAction; readonly trigger: ToPaxosParticipant; readonly row: PaxosBranchRow | null }
  | { readonly phase: 'stored'; readonly row: PaxosBranchRow };

export type PaxosParticipantRecord = { readonly kind: 'BRANCH'; readonly row: PaxosBranchRow };

export interface PaxosParticipantStep {
  readonly state: PaxosParticipantState;
  readonly ready: Ready<PaxosParticipantRecord, Phase2a | PaxosVote | PaxosAck | PaxosInquiry | Lead, PaxosParticipantTimer, PaxosAddress> & {
    /** The handler to run before anything else; the next input is then EXECUTED. Records and messages are empty when set. */
    readonly run?: Pick<BranchRow, 'operation' | 'payload' | 'result'> & { readonly action: PaxosHandlerAction };
  };
  /** The rule by which the input was dropped (state unchanged, nothing owed); absent when the input had an effect. */
  readonly ignored?: PaxosParticipantIgnore;
}
