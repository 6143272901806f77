import type { ProtocolName } from '#libs/protocol';
import type { CoordinatorOptions } from '../types.js';
import { paxosCommit } from './paxos-commit.js';
import type { Protocol } from './protocol.js';
import { saga } from './saga.js';
import { threePhaseCommit } from './three-phase-commit.js';
import { twoPhaseCommit } from './two-phase-commit.js';

export type Protocols = { readonly [Name in ProtocolName]: Protocol };

export function protocolsFor(options: CoordinatorOptions): Protocols {
  return { '2pc': twoPhaseCommit(options), '3pc': threePhaseCommit(options), 'paxos-commit': paxosCommit(options), saga: saga() };
}
