import type { PaxosMessage } from './paxos-commit/messages.js';
import type { SagaMessage } from './saga/messages.js';
import type { SagaOutcome, SagaStepKind } from './saga/types.js';
import type { ThreePhaseMessage } from './three-phase-commit/messages.js';
import type { Txid } from './txid.js';

export const PROTOCOL_NAMES = ['2pc', '3pc', 'paxos-commit', 'saga'] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

/** The word of the decision register. */
export type Decision = 'COMMIT' | 'ABORT';

/** How a transaction of branches ended, as its client hears it. */
export type OutcomeStatus = 'committed' | 'aborted';

/** How a transaction of any protocol ended. */
export type TransactionOutcome = OutcomeStatus | SagaOutcome;

export type VoteKind = 'yes' | 'no' | 'read-only';

/** Any JSON value; payloads and results are opaque to the protocols. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Why a transaction or branch did not succeed. `code` is stable and SCREAMING_SNAKE; `detail` is for people. */
export interface Reason {
  readonly code: string;
  readonly participant?: string;
  readonly detail?: string;
}

/** The coordinator's own abort codes; every other code comes from a participant's NO vote. */
export const ReasonCode = {
  PREPARE_TIMEOUT: 'PREPARE_TIMEOUT',
  PARTICIPANT_UNREACHABLE: 'PARTICIPANT_UNREACHABLE',
  CANCELLED: 'CANCELLED',
  COORDINATOR_RECOVERED: 'COORDINATOR_RECOVERED',
  NO_RECORD: 'NO_RECORD',
  RESOLVED_BY_OPERATOR: 'RESOLVED_BY_OPERATOR',
  /** A participant was asked by a peer before it had voted, and so aborted alone (cooperative termination). */
  PEER_TERMINATION: 'PEER_TERMINATION',
  /** A late PREPARE met the ABORT that had overtaken it. */
  ABORTED_BEFORE_PREPARE: 'ABORTED_BEFORE_PREPARE',
  /** The handler threw something that is not the database's fault. */
  HANDLER_FAILED: 'HANDLER_FAILED',
  UNKNOWN_OPERATION: 'UNKNOWN_OPERATION',
  INVALID_PAYLOAD: 'INVALID_PAYLOAD',
  /** A NO vote that gave no reason of its own. */
  REFUSED: 'REFUSED',
} as const;

/** One participant's part of a transaction, as the client asked for it. */
export interface BranchSpec {
  readonly participant: string;
  readonly operation: string;
  readonly payload: Json;
}

/** Where a branch of the same transaction lives; branches are numbered by their place in the list. */
export type Peers = readonly string[];

// ---------------------------------------------------------------- coordinator -> participant

/** Phase one. `peers[i]` is the participant of branch i, needed for cooperative termination. */
export interface Prepare {
  readonly kind: 'PREPARE';
  readonly txid: Txid;
  readonly branch: number;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
}

/** A single-participant transaction: prepare and commit in one step; the participant decides. */
export interface PrepareAndCommit {
  readonly kind: 'PREPARE_AND_COMMIT';
  readonly txid: Txid;
  readonly branch: number;
  readonly operation: string;
  readonly payload: Json;
}

export interface Commit {
  readonly kind: 'COMMIT';
  readonly txid: Txid;
  readonly branch: number;
}

/** `ack` asks for an ACK, which presumed abort itself does not need (`waitFor: finished` does). */
export interface Abort {
  readonly kind: 'ABORT';
  readonly txid: Txid;
  readonly branch: number;
  readonly reason: Reason;
  readonly ack?: boolean;
}

/** Asks a one-phase participant to abort unless it has committed; answered by ONE_PHASE_OUTCOME either way. */
export interface AbortOnePhase {
  readonly kind: 'ABORT_ONE_PHASE';
  readonly txid: Txid;
  readonly branch: number;
  readonly reason: Reason;
}

// ---------------------------------------------------------------- participant -> participant

/** Cooperative termination: branch `from` (of participant `peers[from]`) is in doubt and asks branch `branch`. */
export interface PeerInquiry {
  readonly kind: 'PEER_INQUIRY';
  readonly txid: Txid;
  readonly branch: number;
  readonly from: number;
  readonly peers: Peers;
}

/** The answer: what branch `from` knows, addressed to branch `branch`. `uncertain` decides nothing. */
export interface PeerState {
  readonly kind: 'PEER_STATE';
  readonly txid: Txid;
  readonly branch: number;
  readonly from: number;
  readonly state: 'committed' | 'aborted' | 'uncertain';
}

// ---------------------------------------------------------------- participant -> coordinator

export interface Vote {
  readonly kind: 'VOTE';
  readonly txid: Txid;
  readonly branch: number;
  readonly vote: VoteKind;
  /** Present on a NO. */
  readonly reason?: Reason;
  /** What the handler returned with its vote. */
  readonly result?: Json;
}

export interface OnePhaseOutcome {
  readonly kind: 'ONE_PHASE_OUTCOME';
  readonly txid: Txid;
  readonly branch: number;
  readonly outcome: OutcomeStatus;
  readonly reason?: Reason;
  readonly result?: Json;
}

/** The branch has applied the decision. */
export interface Ack {
  readonly kind: 'ACK';
  readonly txid: Txid;
  readonly branch: number;
}

/** An in-doubt branch asks for the decision; answered by COMMIT or ABORT. */
export interface Inquiry {
  readonly kind: 'INQUIRY';
  readonly txid: Txid;
  readonly branch: number;
  readonly participant: string;
}

/** A service instance tells what it offers. Not part of any transaction. */
export interface Announce {
  readonly kind: 'ANNOUNCE';
  readonly participant: string;
  readonly instance: string;
  readonly version: string;
  readonly operations: readonly AnnouncedOperation[];
  /** It hosts an acceptor of Paxos Commit in its own database. */
  readonly acceptor: boolean;
}

export interface AnnouncedOperation {
  readonly name: string;
  /** What it can be part of: `branch` of 2pc, 3pc and paxos-commit (prepare, commit, abort), `step` of a saga (execute, compensate). */
  readonly uses: readonly ('branch' | 'step')[];
  /** The kinds of saga step that it can be; empty without `step`. `compensatable` needs a compensate handler. */
  readonly stepKinds: readonly SagaStepKind[];
  /** JSON Schema (draft 2020-12 subset understood by Ajv) of the payload. */
  readonly payloadSchema: Json;
}

export type ToParticipant = Prepare | PrepareAndCommit | Commit | Abort | AbortOnePhase | PeerInquiry | PeerState;
export type ToCoordinator = Vote | OnePhaseOutcome | Ack | Inquiry;
export type TwoPhaseMessage = ToParticipant | ToCoordinator;

/** Everything that is about a transaction. Two-phase commit's messages carry no `protocol`: they were there first. */
export type ProtocolMessage = TwoPhaseMessage | ThreePhaseMessage | PaxosMessage | SagaMessage;
export type Message = ProtocolMessage | Announce;

export function protocolOf(message: ProtocolMessage): ProtocolName {
  return 'protocol' in message ? message.protocol : '2pc';
}

/**
 * Where a message goes. The partition follows from the txid's shard. `acceptor` and `leader` are roles of Paxos Commit that live on a
 * participant's site, or an acceptor's own, and read the inbox of that name.
 */
export type Address =
  | { readonly role: 'coordinator' }
  | { readonly role: 'participant' | 'acceptor' | 'leader'; readonly name: string };

export interface Envelope<M = Message, To = Address> {
  readonly to: To;
  readonly message: M;
}

/** Messages that nobody waits for: they may wait a few milliseconds for company. */
export function isLazy(message: Message): boolean {
  return message.kind === 'COMMIT' || message.kind === 'ACK' || message.kind === 'ABORT';
}
