import type { Ballot, ProtocolMessage } from '#libs/protocol';

/** A message in a few words. */
export function describe(message: ProtocolMessage): string {
  switch (message.kind) {
    case 'VOTE':
      return `VOTE ${message.vote}${message.reason ? ` ${message.reason.code}` : ''}`;
    case 'ONE_PHASE_OUTCOME':
      return `ONE_PHASE_OUTCOME ${message.outcome}`;
    case 'PEER_STATE':
    case 'STATE_REPLY':
    case 'PRE_ACK':
      return `${message.kind} ${message.state}`;
    case 'PHASE_1A':
      return `${message.kind} ${ballot(message.ballot)}`;
    case 'PHASE_1B':
      return `${message.kind} ${ballot(message.ballot)} ${message.accepted.map((vote) => vote?.value ?? '-').join(' ')}`;
    case 'PHASE_2A':
    case 'PHASE_2B':
      return `${message.kind} ${ballot(message.ballot)} ${message.values.map((value) => value ?? '-').join(' ')}`;
    case 'FAILED':
      return `FAILED ${message.action} ${message.reason.code}`;
    case 'REFUSED':
      return message.protocol === 'saga' ? `REFUSED ${message.reason.code}` : 'REFUSED';
    default:
      return message.kind;
  }
}

function ballot({ n, leader }: Ballot): string {
  return `${n}.${leader}`;
}
