/** Small systems to check, by protocol. */
import type { TransactionSpec, Txid, VoteKind } from '#libs/protocol';
import type { System } from '../system.js';
import { paxosCommit, type PaxosTransaction } from '../systems/paxos-commit.js';
import { saga, type SagaStepPlan, type SagaTransaction } from '../systems/saga.js';
import { textbookThreePhaseCommit } from '../systems/textbook-three-phase-commit.js';
import { threePhaseCommit } from '../systems/three-phase-commit.js';
import { twoPhaseCommit, type Transaction } from '../systems/two-phase-commit.js';

export const CHECKED_PROTOCOLS = ['2pc', '3pc', 'textbook-3pc', 'paxos-commit', 'saga'] as const;
export type CheckedProtocol = (typeof CHECKED_PROTOCOLS)[number];

export interface CheckedOptions {
  /** One for each participant; in a saga one for each step, `no` or not. Absent: three of yes. */
  readonly votes?: readonly VoteKind[];
  readonly waitFor?: TransactionSpec['waitFor'];
  /** Paxos Commit: of the 2F+1 acceptors F may fail. Absent: 1. */
  readonly f?: number;
  /** Saga: the kinds of the steps, one after the other. Absent: compensatable, pivot, retriable. */
  readonly kinds?: readonly SagaStepPlan['kind'][];
}

/** More are not explored to the end in any reasonable time. */
const MOST_PARTICIPANTS = 5;
const MOST_F = 2;
const TIMEOUT_MS = 1000;

export class CheckedSystemError extends Error {
  readonly code = 'IMPOSSIBLE_SYSTEM';
  constructor(what: string, allowed: string) {
    super(`${what}; allowed is ${allowed}`);
    this.name = 'CheckedSystemError';
  }
}

/** @throws CheckedSystemError naming what is impossible and what is allowed */
export function checkedSystem(protocol: CheckedProtocol, options: CheckedOptions = {}): System {
  switch (protocol) {
    case '2pc': return twoPhaseCommit(atomicTransaction(options, 1));
    case '3pc': return threePhaseCommit(atomicTransaction(options, 2));
    case 'textbook-3pc': return textbookThreePhaseCommit(atomicTransaction(options, 2));
    case 'paxos-commit': return paxosCommit(paxosTransaction(options));
    case 'saga': return saga(sagaTransaction(options));
    default: throw new CheckedSystemError(`no protocol ${String(protocol)}`, CHECKED_PROTOCOLS.join(', '));
  }
}

/** What the factories of systems/ and of mutants/ take. */
export function atomicTransaction({ votes = ['yes', 'yes', 'yes'], waitFor = 'decided' }: CheckedOptions, least = 1): Transaction {
  if (votes.length < least || votes.length > MOST_PARTICIPANTS) throw new CheckedSystemError(`${votes.length} participants`, `${least} to ${MOST_PARTICIPANTS}`);
  return { txid: 't' as Txid, votes, createdAtMs: 0, timeoutMs: TIMEOUT_MS, waitFor };
}

export function paxosTransaction(options: CheckedOptions): PaxosTransaction {
  const { f = 1 } = options;
  if (!Number.isInteger(f) || f < 0 || f > MOST_F) throw new CheckedSystemError(`f is ${f}`, `0 to ${MOST_F}`);
  return { ...atomicTransaction(options, 2), f };
}

export function sagaTransaction({ votes = [], kinds = ['compensatable', 'pivot', 'retriable'] }: CheckedOptions): SagaTransaction {
  if (kinds.length < 1 || kinds.length > MOST_PARTICIPANTS) throw new CheckedSystemError(`${kinds.length} steps`, `1 to ${MOST_PARTICIPANTS}`);
  return { txid: 't' as Txid, steps: kinds.map((kind, i) => ({ kind, vote: votes[i] === 'no' ? 'no' : 'yes' })), createdAtMs: 0, timeoutMs: TIMEOUT_MS };
}
