import type { Accepted, Acceptors, Ballot, InstanceValue, LeaderAddress, PaxosMessage } from '#libs/protocol';
import { type DecodersOf, toAnySite, toCoordinator, toParticipant } from './decoder.js';
import { DecodeError } from './errors.js';
import { choice, Fields, participantName } from './fields.js';
import { branchOf, MAX_BRANCH, MAX_ROUND, operationOf, optionalAck, peersOf, reasonOf } from './parts.js';

const MAX_ACCEPTORS = 99;
const MAX_LEADER = Number.MAX_SAFE_INTEGER;

/** What goes to acceptors or to leaders of a participant's site is found in that participant's inbox. */
export const PAXOS_COMMIT: DecodersOf<PaxosMessage> = {
  PREPARE: toParticipant((f) => {
    const branch = branchOf(f);
    return { kind: 'PREPARE', ...about(f), branch, ...operationOf(f), peers: peersOf(f, branch), acceptors: acceptorsOf(f) };
  }),
  COMMIT: toParticipant((f) => ({ kind: 'COMMIT', ...about(f), branch: branchOf(f) })),
  ABORT: toParticipant((f) => ({ kind: 'ABORT', ...about(f), branch: branchOf(f), reason: reasonOf(f), ...optionalAck(f) })),
  PHASE_1A: toParticipant((f) => ({ kind: 'PHASE_1A', ...about(f), ballot: ballotOf(f, 'ballot', 1), peers: peersOf(f), leader: leaderOf(f) })),
  PHASE_2A: toParticipant((f) => {
    const [ballot, peers] = [ballotOf(f, 'ballot'), peersOf(f)];
    return { kind: 'PHASE_2A', ...about(f), ballot, peers, values: proposalOf(f, ballot, peers.length), leader: leaderOf(f) };
  }),
  PHASE_1B: toAnySite((f) => ({ kind: 'PHASE_1B', ...about(f), acceptor: f.name('acceptor'), ballot: ballotOf(f, 'ballot', 1), accepted: f.list('accepted', MAX_BRANCH + 1, acceptedOf, 1) })),
  PHASE_2B: toAnySite((f) => ({ kind: 'PHASE_2B', ...about(f), acceptor: f.name('acceptor'), ballot: ballotOf(f, 'ballot'), values: f.list('values', MAX_BRANCH + 1, valueOf, 1) })),
  REFUSED: toAnySite((f) => ({ kind: 'REFUSED', ...about(f), acceptor: f.name('acceptor'), ballot: ballotOf(f, 'ballot'), promised: ballotOf(f, 'promised') })),
  VOTE: toCoordinator((f) => ({ kind: 'VOTE', ...about(f), branch: branchOf(f), vote: f.oneOf('vote', ['no']), reason: reasonOf(f) })),
  ACK: toCoordinator((f) => ({ kind: 'ACK', ...about(f), branch: branchOf(f) })),
  INQUIRY: toCoordinator((f) => ({ kind: 'INQUIRY', ...about(f), branch: branchOf(f), participant: f.name('participant') })),
  LEAD: toParticipant((f) => ({ kind: 'LEAD', ...about(f), peers: peersOf(f), acceptors: acceptorsOf(f) })),
};

function about(f: Fields): Pick<PaxosMessage, 'protocol' | 'txid'> {
  return { protocol: 'paxos-commit', txid: f.txid() };
}

/** A name twice would count twice for the majority. */
function acceptorsOf(f: Fields): Acceptors {
  const acceptors = f.list('acceptors', MAX_ACCEPTORS, participantName, 1);
  if (new Set(acceptors).size < acceptors.length) throw new DecodeError('INVALID_MESSAGE', `acceptors must be different, got ${acceptors.join(', ').slice(0, 200)}`);
  return acceptors;
}

/** Ballot 0 is the participants' own: nobody leads it. */
function ballotOf(f: Fields, name: string, least: 0 | 1 = 0): Ballot {
  const ballot = f.object(name);
  const n = ballot.integer('n', least, MAX_ROUND);
  return { n, leader: ballot.index('leader', n === 0 ? 0 : MAX_LEADER) };
}

function leaderOf(f: Fields): LeaderAddress {
  const leader = f.object('leader');
  return leader.oneOf('role', ['coordinator', 'leader']) === 'coordinator' ? { role: 'coordinator' } : { role: 'leader', name: leader.name('name') };
}

/** One value per branch: of all branches from a leader, of at least one from a participant. */
function proposalOf(f: Fields, ballot: Ballot, branches: number): readonly (InstanceValue | null)[] {
  const values = f.list('values', MAX_BRANCH + 1, ballot.n === 0 ? valueOrNull : valueOf);
  if (values.length !== branches) throw new DecodeError('INVALID_MESSAGE', `PHASE_2A has ${values.length} values for ${branches} peers`);
  if (values.every((value) => value === null)) throw new DecodeError('INVALID_MESSAGE', 'PHASE_2A proposes nothing');
  return values;
}

function valueOf(value: unknown, path: string): InstanceValue {
  return choice(value, path, ['prepared', 'read-only', 'aborted']);
}

function valueOrNull(value: unknown, path: string): InstanceValue | null {
  return value === null ? null : valueOf(value, path);
}

function acceptedOf(value: unknown, path: string): Accepted | null {
  if (value === null) return null;
  const f = Fields.of(value, path);
  return { ballot: ballotOf(f, 'ballot'), value: f.oneOf('value', ['prepared', 'read-only', 'aborted']) };
}
