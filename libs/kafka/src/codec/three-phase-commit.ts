import type { Election, Peers, ThreePhaseMessage } from '#libs/protocol';
import { type DecodersOf, toAnySite, toCoordinator, toParticipant } from './decoder.js';
import { DecodeError } from './errors.js';
import { type Fields } from './fields.js';
import { MAX_BRANCH, MAX_ROUND, operationOf, optionalAck, optionalReason, optionalResult, peersOf, reasonOf } from './parts.js';

/** Participants are numbered as in `peers`, and the coordinator comes after the last one. */
const MAX_SITE = MAX_BRANCH + 1;

export const THREE_PHASE_COMMIT: DecodersOf<ThreePhaseMessage> = {
  PREPARE: toParticipant((f) => ({ kind: 'PREPARE', ...about(f), ...operationOf(f), peers: sitesOf(f) })),
  VOTE: toCoordinator((f) => ({ kind: 'VOTE', ...about(f), vote: f.oneOf('vote', ['yes', 'no', 'read-only']), ...optionalReason(f), ...optionalResult(f) })),
  ACK: toCoordinator((f) => ({ kind: 'ACK', ...about(f) })),
  PRE_COMMIT: toAnySite((f) => ({ kind: 'PRE_COMMIT', ...about(f), election: electionOf(f, 'election'), peers: sitesOf(f) })),
  PRE_ABORT: toAnySite((f) => ({ kind: 'PRE_ABORT', ...about(f), election: electionOf(f, 'election'), peers: sitesOf(f) })),
  PRE_ACK: toAnySite((f) => ({
    kind: 'PRE_ACK', ...about(f), election: electionOf(f, 'election'), state: f.oneOf('state', ['pre-committed', 'pre-aborted', 'committed', 'aborted']), ...optionalReason(f),
  })),
  COMMIT: toAnySite((f) => ({ kind: 'COMMIT', ...about(f), ...optionalAck(f) })),
  ABORT: toAnySite((f) => ({ kind: 'ABORT', ...about(f), reason: reasonOf(f), ...optionalAck(f) })),
  STATE_REQUEST: toAnySite((f) => ({ kind: 'STATE_REQUEST', ...about(f), election: electionOf(f, 'election'), peers: sitesOf(f) })),
  STATE_REPLY: toAnySite((f) => ({
    kind: 'STATE_REPLY', ...about(f), election: electionOf(f, 'election'), lastAttempt: attemptOf(f, 'lastAttempt'),
    state: f.oneOf('state', ['waiting', 'prepared', 'pre-committed', 'pre-aborted', 'committed', 'aborted']), ...optionalReason(f),
  })),
  REFUSED: toAnySite((f) => ({ kind: 'REFUSED', ...about(f), election: electionOf(f, 'election'), lastElected: electionOf(f, 'lastElected') })),
};

function about(f: Fields): Pick<ThreePhaseMessage, 'protocol' | 'txid' | 'from' | 'to'> {
  return { protocol: '3pc', txid: f.txid(), from: f.index('from', MAX_SITE), to: f.index('to', MAX_SITE) };
}

/** Both ends of the message, and who was elected, must be among the sites, as answers are routed by `peers`. */
function sitesOf(f: Fields): Peers {
  const peers = peersOf(f);
  const sites = [f.index('from', MAX_SITE), f.index('to', MAX_SITE), ...(f.has('election') ? [electionOf(f, 'election').site] : [])];
  const stranger = sites.find((site) => site > peers.length);
  if (stranger !== undefined) throw new DecodeError('INVALID_MESSAGE', `site ${stranger} is not among ${peers.length} participants and the coordinator`);
  return peers;
}

function electionOf(f: Fields, name: string): Election {
  const election = f.object(name);
  return { n: election.integer('n', 1, MAX_ROUND), site: election.index('site', MAX_SITE) };
}

/** As an election, or NO_ATTEMPT. */
function attemptOf(f: Fields, name: string): Election {
  const attempt = f.object(name);
  return attempt.integer('n', 0, MAX_ROUND) === 0 ? { n: 0, site: attempt.integer('site', -1, -1) } : electionOf(f, name);
}
