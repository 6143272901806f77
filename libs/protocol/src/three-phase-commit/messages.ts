/**
 * The messages of three-phase commit. Every site of a transaction has a number: participants 0..N-1 as in `peers`, the coordinator N.
 * A message says from which site to which it goes; `protocol` tells the families of messages apart on a shared wire.
 */
import type { Decision, Json, OutcomeStatus, Peers, Reason, VoteKind } from '../messages.js';
import type { Txid } from '../txid.js';
import type { Election, SiteState } from './election.js';

interface About {
  readonly protocol: '3pc';
  readonly txid: Txid;
  readonly from: number;
  readonly to: number;
}

/** Phase one. */
export interface Prepare extends About {
  readonly kind: 'PREPARE';
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
}

export interface Vote extends About {
  readonly kind: 'VOTE';
  readonly vote: VoteKind;
  /** Present on a NO. */
  readonly reason?: Reason;
  /** What the handler returned with its vote. */
  readonly result?: Json;
}

/** Phase two: whoever was elected attempts to commit. `peers` here and below: who answers must find the sender, whatever it knows. */
export interface PreCommit extends About {
  readonly kind: 'PRE_COMMIT';
  readonly election: Election;
  readonly peers: Peers;
}

/** Phase two of a resolver that found no sign that a majority may be pre-committed: it attempts to abort. */
export interface PreAbort extends About {
  readonly kind: 'PRE_ABORT';
  readonly election: Election;
  readonly peers: Peers;
}

/** The site has followed the attempt of that election, or (a final `state`) knows the decision already. */
export interface PreAck extends About {
  readonly kind: 'PRE_ACK';
  readonly election: Election;
  readonly state: AttemptState | OutcomeStatus;
  /** Of an abort. */
  readonly reason?: Reason;
}

/** What PRE_COMMIT and PRE_ABORT make of a site. */
export type AttemptState = 'pre-committed' | 'pre-aborted';

/** Phase three. `ack` asks for an ACK: only the coordinator does. */
export interface Commit extends About {
  readonly kind: 'COMMIT';
  readonly ack?: boolean;
}

/** `ack` asks for an ACK, which nobody needs but a client that waits for `finished`. */
export interface Abort extends About {
  readonly kind: 'ABORT';
  readonly reason: Reason;
  readonly ack?: boolean;
}

/** The branch has applied the decision. */
export interface Ack extends About {
  readonly kind: 'ACK';
}

/** A resolver stands for election: who answers promises to follow no smaller one. */
export interface StateRequest extends About {
  readonly kind: 'STATE_REQUEST';
  readonly election: Election;
  readonly peers: Peers;
}

/** The promise, or (a final `state`) the decision, which needs no promise. */
export interface StateReply extends About {
  readonly kind: 'STATE_REPLY';
  readonly election: Election;
  readonly state: SiteState;
  readonly lastAttempt: Election;
  /** Of an abort. */
  readonly reason?: Reason;
}

/** The answer to a STATE_REQUEST, PRE_COMMIT or PRE_ABORT whose election is smaller than one that the site has promised to follow. */
export interface Refused extends About {
  readonly kind: 'REFUSED';
  readonly election: Election;
  readonly lastElected: Election;
}

/** What any site may send to any other. */
export type ToSite = PreCommit | PreAbort | PreAck | Commit | Abort | StateRequest | StateReply | Refused;
export type ToCoordinator = ToSite | Vote | Ack;
export type ToParticipant = ToSite | Prepare;
export type ThreePhaseMessage = ToCoordinator | ToParticipant;

export const ATTEMPT: { readonly [D in Decision]: AttemptState } = { COMMIT: 'pre-committed', ABORT: 'pre-aborted' };
