import type { Ballot, Envelope, ProtocolMessage } from '#libs/protocol';
import type { Spec } from '../ports.js';

/** For timelines: who sent a message of the transaction to its coordinator. */
export function senderOf(message: ProtocolMessage, spec: Spec): string {
  if ('acceptor' in message) return `acceptor/${message.acceptor}`;
  const branch = branchOf(message);
  const parts = spec.protocol === 'saga' ? spec.steps : spec.branches;
  return (branch === undefined ? undefined : parts[branch]?.participant) ?? 'unknown';
}

export function receiverOf({ to }: Envelope<ProtocolMessage>): string {
  if (to.role === 'coordinator') return to.role;
  return to.role === 'participant' ? to.name : `${to.role}/${to.name}`;
}

/** The branch (or step) that a message of the coordinator or to it is about; undefined: all of them. */
export function branchOf(message: ProtocolMessage, isSent = false): number | undefined {
  if ('branch' in message) return message.branch;
  if (!('protocol' in message) || message.protocol !== '3pc') return undefined;
  return isSent ? message.to : message.from;
}

/** For people: `yes`, `no OUT_OF_STOCK`, `(2, 0) pre-committed`, a step's id, ... */
export function detailOf(message: ProtocolMessage): string | null {
  if (message.kind === 'PREPARE') return message.operation;
  if (message.kind === 'VOTE') return withReason(message.vote, message);
  if (message.kind === 'ABORT') return message.reason.code;
  if (!('protocol' in message)) return twoPhaseDetail(message);
  switch (message.protocol) {
    case '3pc':
      return threePhaseDetail(message);
    case 'paxos-commit':
      return paxosDetail(message);
    case 'saga':
      return 'reason' in message ? `${message.step} ${message.reason.code}` : message.step;
  }
}

type Of<Protocol> = Extract<ProtocolMessage, { readonly protocol: Protocol }>;

function twoPhaseDetail(message: Exclude<ProtocolMessage, { readonly protocol: string }>): string | null {
  switch (message.kind) {
    case 'PREPARE_AND_COMMIT':
      return message.operation;
    case 'ONE_PHASE_OUTCOME':
      return withReason(message.outcome, message);
    case 'ABORT_ONE_PHASE':
      return message.reason.code;
    default:
      return null;
  }
}

function threePhaseDetail(message: Of<'3pc'>): string | null {
  switch (message.kind) {
    case 'PRE_COMMIT':
    case 'PRE_ABORT':
    case 'STATE_REQUEST':
      return electionText(message.election);
    case 'PRE_ACK':
    case 'STATE_REPLY':
      return withReason(`${electionText(message.election)} ${message.state}`, message);
    case 'REFUSED':
      return `${electionText(message.election)} for ${electionText(message.lastElected)}`;
    default:
      return null;
  }
}

function paxosDetail(message: Of<'paxos-commit'>): string | null {
  switch (message.kind) {
    case 'PHASE_1A':
      return ballotText(message.ballot);
    case 'PHASE_1B':
      return `${ballotText(message.ballot)} ${message.accepted.map((vote) => vote?.value ?? '-').join(', ')}`;
    case 'PHASE_2A':
    case 'PHASE_2B':
      return `${ballotText(message.ballot)} ${message.values.map((value) => value ?? '-').join(', ')}`;
    case 'REFUSED':
      return `${ballotText(message.ballot)} for ${ballotText(message.promised)}`;
    default:
      return null;
  }
}

function withReason(what: string, { reason }: { readonly reason?: { readonly code: string } }): string {
  return reason === undefined ? what : `${what} ${reason.code}`;
}

function electionText({ n, site }: { readonly n: number; readonly site: number }): string {
  return `(${n}, ${site})`;
}

function ballotText({ n, leader }: Ballot): string {
  return `(${n}, ${leader})`;
}
