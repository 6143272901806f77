/** What messages of several protocols have in common. */
import type { Json, Peers, Reason } from '#libs/protocol';
import { DecodeError } from './errors.js';
import { type Fields, participantName } from './fields.js';

export const MAX_BRANCH = 9_999;
export const MAX_NAME_LENGTH = 255;
/** Of elections and ballots. Nobody gets there by counting, and the next one still fits into 32 bits. */
export const MAX_ROUND = 1_000_000_000;
const MAX_REASON_DETAIL = 65_536;

export function branchOf(f: Fields): number {
  return f.index('branch', MAX_BRANCH);
}

export function operationOf(f: Fields): { operation: string; payload: Json } {
  return { operation: f.text('operation', MAX_NAME_LENGTH), payload: f.json('payload') };
}

/** `peers[i]` must exist for every branch number that the message names, as answers are routed by it. */
export function peersOf(f: Fields, highestBranch = 0): Peers {
  const peers = f.list('peers', MAX_BRANCH + 1, participantName);
  if (highestBranch >= peers.length) throw new DecodeError('INVALID_MESSAGE', `branch ${highestBranch} is not among the ${peers.length} peers`);
  return peers;
}

export function reasonOf(f: Fields): Reason {
  const reason = f.object('reason');
  return {
    code: reason.text('code', MAX_NAME_LENGTH),
    ...(reason.has('participant') ? { participant: reason.name('participant') } : {}),
    ...(reason.has('detail') ? { detail: reason.text('detail', MAX_REASON_DETAIL) } : {}),
  };
}

export function optionalReason(f: Fields): { reason?: Reason } {
  return f.has('reason') ? { reason: reasonOf(f) } : {};
}

export function optionalResult(f: Fields): { result?: Json } {
  return f.has('result') ? { result: f.json('result') } : {};
}

export function optionalAck(f: Fields): { ack?: boolean } {
  return f.has('ack') ? { ack: f.flag('ack') } : {};
}
