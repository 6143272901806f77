import type { TwoPhaseMessage } from '#libs/protocol';
import { type DecodersOf, toCoordinator, toParticipant } from './decoder.js';
import { branchOf, MAX_BRANCH, operationOf, optionalAck, optionalReason, optionalResult, peersOf, reasonOf } from './parts.js';

export const TWO_PHASE_COMMIT: DecodersOf<TwoPhaseMessage> = {
  PREPARE: toParticipant((f) => {
    const branch = branchOf(f);
    return { kind: 'PREPARE', txid: f.txid(), branch, ...operationOf(f), peers: peersOf(f, branch) };
  }),
  PREPARE_AND_COMMIT: toParticipant((f) => ({ kind: 'PREPARE_AND_COMMIT', txid: f.txid(), branch: branchOf(f), ...operationOf(f) })),
  COMMIT: toParticipant((f) => ({ kind: 'COMMIT', txid: f.txid(), branch: branchOf(f) })),
  ABORT: toParticipant((f) => ({ kind: 'ABORT', txid: f.txid(), branch: branchOf(f), reason: reasonOf(f), ...optionalAck(f) })),
  ABORT_ONE_PHASE: toParticipant((f) => ({ kind: 'ABORT_ONE_PHASE', txid: f.txid(), branch: branchOf(f), reason: reasonOf(f) })),
  PEER_INQUIRY: toParticipant((f) => {
    const [branch, from] = [branchOf(f), f.index('from', MAX_BRANCH)];
    return { kind: 'PEER_INQUIRY', txid: f.txid(), branch, from, peers: peersOf(f, Math.max(branch, from)) };
  }),
  PEER_STATE: toParticipant((f) => ({
    kind: 'PEER_STATE', txid: f.txid(), branch: branchOf(f), from: f.index('from', MAX_BRANCH), state: f.oneOf('state', ['committed', 'aborted', 'uncertain']),
  })),
  VOTE: toCoordinator((f) => ({
    kind: 'VOTE', txid: f.txid(), branch: branchOf(f), vote: f.oneOf('vote', ['yes', 'no', 'read-only']), ...optionalReason(f), ...optionalResult(f),
  })),
  ONE_PHASE_OUTCOME: toCoordinator((f) => ({
    kind: 'ONE_PHASE_OUTCOME', txid: f.txid(), branch: branchOf(f), outcome: f.oneOf('outcome', ['committed', 'aborted']), ...optionalReason(f), ...optionalResult(f),
  })),
  ACK: toCoordinator((f) => ({ kind: 'ACK', txid: f.txid(), branch: branchOf(f) })),
  INQUIRY: toCoordinator((f) => ({ kind: 'INQUIRY', txid: f.txid(), branch: branchOf(f), participant: f.name('participant') })),
};
