import type { Announce, AnnouncedOperation, Message, Peers, Reason } from '#libs/protocol';
import { DecodeError } from './errors.js';
import { excerpt, Fields, participantName } from './fields.js';

type Kind = Message['kind'];
type MessageOf<K extends Kind> = Extract<Message, { kind: K }>;
export type InboxRole = 'coordinator' | 'participant';

const MAX_BRANCH = 9_999;
const MAX_OPERATIONS = 1_000;
const MAX_NAME_LENGTH = 255;
const MAX_REASON_DETAIL = 65_536;

/** Which inbox takes a message of this kind. Anything else found there is a defect of its sender. */
const INBOX_OF: { readonly [K in Kind]: InboxRole } = {
  PREPARE: 'participant',
  PREPARE_AND_COMMIT: 'participant',
  COMMIT: 'participant',
  ABORT: 'participant',
  ABORT_ONE_PHASE: 'participant',
  PEER_INQUIRY: 'participant',
  PEER_STATE: 'participant',
  VOTE: 'coordinator',
  ONE_PHASE_OUTCOME: 'coordinator',
  ACK: 'coordinator',
  INQUIRY: 'coordinator',
  ANNOUNCE: 'coordinator',
};

/**
 * One validator per kind; a kind without one does not compile. Each builds a fresh message of the known fields, so that
 * fields added by a newer sender are ignored and nothing unchecked gets in.
 */
const DECODERS: { readonly [K in Kind]: (fields: Fields) => MessageOf<K> } = {
  PREPARE: (f) => {
    const branch = branchOf(f);
    return { kind: 'PREPARE', txid: f.txid(), branch, operation: f.text('operation', MAX_NAME_LENGTH), payload: f.json('payload'), peers: peersOf(f, branch) };
  },
  PREPARE_AND_COMMIT: (f) => ({ kind: 'PREPARE_AND_COMMIT', txid: f.txid(), branch: branchOf(f), operation: f.text('operation', MAX_NAME_LENGTH), payload: f.json('payload') }),
  COMMIT: (f) => ({ kind: 'COMMIT', txid: f.txid(), branch: branchOf(f) }),
  ABORT: (f) => ({ kind: 'ABORT', txid: f.txid(), branch: branchOf(f), reason: reasonOf(f.object('reason')), ...(f.has('ack') ? { ack: f.flag('ack') } : {}) }),
  ABORT_ONE_PHASE: (f) => ({ kind: 'ABORT_ONE_PHASE', txid: f.txid(), branch: branchOf(f), reason: reasonOf(f.object('reason')) }),
  PEER_INQUIRY: (f) => {
    const [branch, from] = [branchOf(f), f.index('from', MAX_BRANCH)];
    return { kind: 'PEER_INQUIRY', txid: f.txid(), branch, from, peers: peersOf(f, Math.max(branch, from)) };
  },
  PEER_STATE: (f) => ({ kind: 'PEER_STATE', txid: f.txid(), branch: branchOf(f), from: f.index('from', MAX_BRANCH), state: f.oneOf('state', ['committed', 'aborted', 'uncertain']) }),
  VOTE: (f) => ({ kind: 'VOTE', txid: f.txid(), branch: branchOf(f), vote: f.oneOf('vote', ['yes', 'no', 'read-only']), ...reasonAndResult(f) }),
  ONE_PHASE_OUTCOME: (f) => ({ kind: 'ONE_PHASE_OUTCOME', txid: f.txid(), branch: branchOf(f), outcome: f.oneOf('outcome', ['committed', 'aborted']), ...reasonAndResult(f) }),
  ACK: (f) => ({ kind: 'ACK', txid: f.txid(), branch: branchOf(f) }),
  INQUIRY: (f) => ({ kind: 'INQUIRY', txid: f.txid(), branch: branchOf(f), participant: f.name('participant') }),
  ANNOUNCE: announcementOf,
};

/**
 * Checks one message that was found in an inbox of the given role.
 * @param path what to call the message in errors, e.g. `messages[3]`
 * @throws DecodeError UNKNOWN_KIND, WRONG_INBOX, INVALID_MESSAGE
 */
export function decodeMessage(value: unknown, role: InboxRole, path: string): Message {
  const fields = Fields.of(value, path);
  const kind = (value as { kind?: unknown }).kind;
  if (typeof kind !== 'string' || !Object.hasOwn(DECODERS, kind)) throw new DecodeError('UNKNOWN_KIND', `${path}.kind ${excerpt(kind)} is not a kind of message`);
  if (INBOX_OF[kind as Kind] !== role) throw new DecodeError('WRONG_INBOX', `${path}: ${kind} does not belong into the inbox of a ${role}`);
  return DECODERS[kind as Kind](fields);
}

function branchOf(f: Fields): number {
  return f.index('branch', MAX_BRANCH);
}

/** `peers[i]` must exist for every branch number that the message names, as answers are routed by it. */
function peersOf(f: Fields, highestBranch: number): Peers {
  const peers = f.list('peers', MAX_BRANCH + 1, participantName);
  if (highestBranch >= peers.length) throw new DecodeError('INVALID_MESSAGE', `branch ${highestBranch} is not among the ${peers.length} peers`);
  return peers;
}

function reasonOf(f: Fields): Reason {
  return {
    code: f.text('code', MAX_NAME_LENGTH),
    ...(f.has('participant') ? { participant: f.name('participant') } : {}),
    ...(f.has('detail') ? { detail: f.text('detail', MAX_REASON_DETAIL) } : {}),
  };
}

function reasonAndResult(f: Fields): Pick<MessageOf<'VOTE'>, 'reason' | 'result'> {
  return {
    ...(f.has('reason') ? { reason: reasonOf(f.object('reason')) } : {}),
    ...(f.has('result') ? { result: f.json('result') } : {}),
  };
}

function announcementOf(f: Fields): Announce {
  return {
    kind: 'ANNOUNCE',
    participant: f.name('participant'),
    instance: f.text('instance', MAX_NAME_LENGTH),
    version: f.text('version', MAX_NAME_LENGTH),
    operations: f.list('operations', MAX_OPERATIONS, operationOf),
  };
}

function operationOf(value: unknown, path: string): AnnouncedOperation {
  const f = Fields.of(value, path);
  return { name: f.text('name', MAX_NAME_LENGTH), payloadSchema: f.json('payloadSchema') };
}
