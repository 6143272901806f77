import {
  protocolOf,
  type CoordinatorRecord, type Message, type PaxosLeaderRecord, type ProtocolMessage, type ProtocolName, type SagaRecord, type ThreePhaseCoordinatorRecord,
  type TwoPhaseMessage,
} from '#libs/protocol';
import type { AnyBranchRow, CoordinatorFlush, SiteRows } from '../ports.js';

// Everything that may be written or sent, by protocol. The types below demand an entry for each kind of record and message that there is:
// who adds one cannot compile before its crash points are in the list.

/** Who does it. An acceptor and a leader of Paxos Commit act in a participant's process, an acceptor also in one of its own. */
export type CrashRole = 'coordinator' | 'participant' | 'acceptor' | 'leader';
/** What a process was started as. */
export type ProcessRole = Exclude<CrashRole, 'leader'>;

type MessageOf<P extends ProtocolName> = P extends '2pc' ? TwoPhaseMessage : Extract<ProtocolMessage, { readonly protocol: P }>;

const coordinator = ['coordinator'] as const;
const participant = ['participant'] as const;
const acceptor = ['acceptor'] as const;
/** Of E3PC: each site may be the one that resolves. */
const anySite = ['coordinator', 'participant'] as const;
const anyLeader = ['coordinator', 'leader'] as const;
/**
 * What one machine of a site says to another of the same site does not leave the process (splitByPlace), but in the moment in which the process
 * stops or its partition is taken away. Even then nothing hangs on it: a branch in doubt asks its leader again and again.
 */
const ownSite = [] as const;

export const SENDERS: { readonly [P in ProtocolName]: { readonly [K in MessageOf<P>['kind']]: readonly CrashRole[] } } = {
  '2pc': {
    PREPARE: coordinator, PREPARE_AND_COMMIT: coordinator, COMMIT: coordinator, ABORT: coordinator, ABORT_ONE_PHASE: coordinator,
    PEER_INQUIRY: participant, PEER_STATE: participant, VOTE: participant, ONE_PHASE_OUTCOME: participant, ACK: participant, INQUIRY: participant,
  },
  '3pc': {
    PREPARE: coordinator, VOTE: participant, ACK: participant,
    PRE_COMMIT: anySite, PRE_ABORT: anySite, PRE_ACK: anySite, COMMIT: anySite, ABORT: anySite, STATE_REQUEST: anySite, STATE_REPLY: anySite, REFUSED: anySite,
  },
  'paxos-commit': {
    PREPARE: coordinator, COMMIT: anyLeader, ABORT: anyLeader, PHASE_1A: anyLeader, PHASE_2A: ['participant', ...anyLeader],
    PHASE_1B: acceptor, PHASE_2B: acceptor, REFUSED: acceptor, VOTE: participant, ACK: participant, INQUIRY: participant, LEAD: ownSite,
  },
  saga: {
    EXECUTE: coordinator, COMPENSATE: coordinator, CANCEL_STEP: coordinator,
    EXECUTED: participant, REFUSED: participant, FAILED: participant, COMPENSATED: participant, CANCELLED: participant,
  },
};

/** Also written where the protocol has no such record: 3pc's final STATE and the note of paxos-commit for readers are DECIDE rows. */
type CoordinatorKinds = {
  readonly '2pc': CoordinatorRecord['kind'];
  readonly '3pc': ThreePhaseCoordinatorRecord['kind'] | 'DECIDE';
  readonly 'paxos-commit': PaxosLeaderRecord['kind'] | 'DECIDE';
  readonly saga: SagaRecord['kind'];
};
type FlushPart = Exclude<keyof CoordinatorFlush, 'epochs'>;

/** The coordinator's records, and the part of a flush that holds them. */
export const COORDINATOR_RECORDS: { readonly [P in ProtocolName]: { readonly [K in CoordinatorKinds[P]]: FlushPart } } = {
  '2pc': { BEGIN: 'begins', DECIDE: 'decisions', END: 'ends' },
  '3pc': { BEGIN: 'begins', STATE: 'progress', DECIDE: 'decisions', END: 'ends' },
  'paxos-commit': { BEGIN: 'begins', LEAD: 'progress', DECIDE: 'decisions', END: 'ends' },
  saga: { BEGIN: 'begins', SENT: 'progress', SKIP: 'progress', ATTENTION: 'progress', DECIDE: 'decisions', END: 'ends' },
};

/** What the coordinator writes besides records of a transaction that it runs. */
export const COORDINATOR_NOTES = ['EPOCH', 'PRESUMED_ABORT'] as const;

/** `waiting` is the coordinator's own site of 3pc. */
type BranchStateOf<P extends ProtocolName> = Exclude<Extract<AnyBranchRow, { readonly protocol: P }>['state'], 'waiting'>;

/** States that a branch's row is written in. */
export const BRANCH_STATES: { readonly [P in ProtocolName]: { readonly [S in BranchStateOf<P>]: true } } = {
  '2pc': { prepared: true, committed: true, aborted: true, 'read-only': true },
  '3pc': { prepared: true, 'pre-committed': true, 'pre-aborted': true, committed: true, aborted: true },
  'paxos-commit': { prepared: true, committed: true, aborted: true, 'read-only': true },
  saga: { executed: true, refused: true, compensated: true, cancelled: true },
};

/** Who writes the rows of a site, and what the records are called. */
export const SITE_WRITERS: { readonly [K in keyof SiteRows]: { readonly role: CrashRole; readonly kinds: readonly string[]; kindOf(row: SiteRows[K][number]): string } } = {
  branches: {
    role: 'participant',
    kinds: Object.entries(BRANCH_STATES).flatMap(([protocol, states]) => Object.keys(states).map((state) => branchKind(protocol, state))),
    kindOf: ({ protocol, state }) => branchKind(protocol, state),
  },
  acceptors: { role: 'acceptor', kinds: ['paxos-commit/ACCEPTOR'], kindOf: () => 'paxos-commit/ACCEPTOR' },
  leaders: { role: 'leader', kinds: ['paxos-commit/LEADER'], kindOf: () => 'paxos-commit/LEADER' },
};

function branchKind(protocol: string, state: string): string {
  return `${protocol}/BRANCH-${state}`;
}

/** Who sends this message from a process of that role; null: sending it is no crash point. */
export function senderOf(message: Message, role: ProcessRole): CrashRole | null {
  if (role === 'coordinator' || message.kind === 'ANNOUNCE') return role;
  // Of ballot 0 the participants propose themselves; all others have a leader.
  if (message.kind === 'PHASE_2A') return message.ballot.n === 0 ? 'participant' : 'leader';
  const senders: Readonly<Record<string, readonly CrashRole[]>> = SENDERS[protocolOf(message)];
  const who = senders[message.kind];
  return who?.length === 0 ? null : who?.find((sender) => sender !== 'coordinator') ?? role;
}

export function kindOf(message: Message): string {
  return message.kind === 'ANNOUNCE' ? 'ANNOUNCE' : `${protocolOf(message)}/${message.kind}`;
}
