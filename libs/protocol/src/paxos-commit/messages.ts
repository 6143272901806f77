/**
 * The messages of Paxos Commit. `PHASE_1A` to `PHASE_2B` are named as in Gray and Lamport, Consensus on Transaction Commit,
 * TODS 31(1) 2006, sections 3 and 4. Every message about a transaction carries what a site needs that never heard of it before:
 * acceptors learn the branches from the first 1a or 2a.
 */
import type { Json, Peers, Reason } from '../messages.js';
import type { Txid } from '../txid.js';
import type { Ballot } from './ballot.js';

/** What may be chosen in one branch's instance of Paxos. `read-only` counts as `prepared`, but gets nothing in phase two. */
export type InstanceValue = 'prepared' | 'read-only' | 'aborted';

/** An acceptor's vote in one instance. */
export interface Accepted {
  readonly ballot: Ballot;
  readonly value: InstanceValue;
}

/** Names of the 2F+1 acceptors; the first F+1 are used while all goes well. */
export type Acceptors = readonly string[];

/** Who leads a ballot: the coordinator, or the leader role on a participant's site. */
export type LeaderAddress = { readonly role: 'coordinator' } | { readonly role: 'leader'; readonly name: string };

export type PaxosAddress = LeaderAddress | { readonly role: 'participant'; readonly name: string } | { readonly role: 'acceptor'; readonly name: string };

interface About {
  readonly protocol: 'paxos-commit';
  readonly txid: Txid;
}

interface AboutBranch extends About {
  readonly branch: number;
}

// ---------------------------------------------------------------- to participants

/** The work of one branch, and whom to tell the vote. `peers[i]` is the participant of branch i. */
export interface PaxosPrepare extends AboutBranch {
  readonly kind: 'PREPARE';
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  readonly acceptors: Acceptors;
}

export interface PaxosCommit extends AboutBranch {
  readonly kind: 'COMMIT';
}

/** `ack` asks for an ACK (`waitFor: finished`). */
export interface PaxosAbort extends AboutBranch {
  readonly kind: 'ABORT';
  readonly reason: Reason;
  readonly ack?: boolean;
}

// ---------------------------------------------------------------- to acceptors

/** A leader asks for the promise of its ballot, for all instances at once. */
export interface Phase1a extends About {
  readonly kind: 'PHASE_1A';
  readonly ballot: Ballot;
  readonly peers: Peers;
  readonly leader: LeaderAddress;
}

/**
 * Proposes `values[i]` in instance i. A participant proposes in ballot 0 and in its own instance alone (null elsewhere), which is
 * its YES; a leader of a greater ballot proposes in all. The 2b goes to `leader`.
 */
export interface Phase2a extends About {
  readonly kind: 'PHASE_2A';
  readonly ballot: Ballot;
  readonly peers: Peers;
  readonly values: readonly (InstanceValue | null)[];
  readonly leader: LeaderAddress;
}

// ---------------------------------------------------------------- to leaders

/** The acceptor takes part in no smaller ballot any more, and has so far accepted this, by branch. */
export interface Phase1b extends About {
  readonly kind: 'PHASE_1B';
  readonly acceptor: string;
  readonly ballot: Ballot;
  readonly accepted: readonly (Accepted | null)[];
}

/** The acceptor has accepted these values in this ballot, in all instances: one message for all participants (section 4.2). */
export interface Phase2b extends About {
  readonly kind: 'PHASE_2B';
  readonly acceptor: string;
  readonly ballot: Ballot;
  readonly values: readonly InstanceValue[];
}

/** The acceptor has promised a greater ballot than `ballot`. Only a hint: a leader may as well never hear of it. */
export interface Refused extends About {
  readonly kind: 'REFUSED';
  readonly acceptor: string;
  readonly ballot: Ballot;
  readonly promised: Ballot;
}

/**
 * A NO, straight to the coordinator. It needs no acceptor: its sender never proposes `prepared` in ballot 0, nobody else proposes in
 * ballot 0, and a leader of a greater ballot proposes `aborted` where it finds nothing. So nothing else can be chosen in that instance.
 */
export interface PaxosVote extends AboutBranch {
  readonly kind: 'VOTE';
  readonly vote: 'no';
  readonly reason: Reason;
}

/** The branch has applied the decision. */
export interface PaxosAck extends AboutBranch {
  readonly kind: 'ACK';
}

/** An in-doubt branch asks the coordinator for the decision; answered by COMMIT or ABORT. */
export interface PaxosInquiry extends AboutBranch {
  readonly kind: 'INQUIRY';
  readonly participant: string;
}

/** An in-doubt branch asks the leader role on its own site to find the decision out. */
export interface Lead extends About {
  readonly kind: 'LEAD';
  readonly peers: Peers;
  readonly acceptors: Acceptors;
}

export type ToPaxosParticipant = PaxosPrepare | PaxosCommit | PaxosAbort;
export type ToAcceptor = Phase1a | Phase2a;
export type ToPaxosLeader = Phase1b | Phase2b | Refused | PaxosVote | PaxosAck | PaxosInquiry | Lead;
export type PaxosMessage = ToPaxosParticipant | ToAcceptor | ToPaxosLeader;
