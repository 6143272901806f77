/** How the first line of a scenario builds its System: `> system votes=yes,no`. One entry per folder of libs/protocol/scenarios. */
import { makeTxid, type SagaStepKind, type VoteKind } from '#libs/protocol';
import type { Factory, Options } from '../src/scenario.js';
import { paxosCommit } from '../src/systems/paxos-commit.js';
import { saga, type SagaTransaction } from '../src/systems/saga.js';
import { threePhaseCommit } from '../src/systems/three-phase-commit.js';
import { twoPhaseCommit, type Transaction } from '../src/systems/two-phase-commit.js';

/** votes=yes,no,read-only wait=finished timeout=10000 */
export function transactionOf({ votes = 'yes,yes', wait = 'decided', timeout = '10000' }: Options): Transaction {
  return {
    txid: makeTxid(0, 0, new Uint8Array(8)), createdAtMs: 0, timeoutMs: Number(timeout),
    votes: votes.split(',') as VoteKind[], waitFor: wait as Transaction['waitFor'],
  };
}

/** steps=compensatable,pivot,retriable votes=yes,no,yes after=-,0,0+1 failures=0,0,2 skip=1 timeout=10000 */
export function sagaOf({ steps = 'compensatable', votes, after, failures, skip, timeout = '10000' }: Options): SagaTransaction {
  const at = (list: string | undefined, i: number) => list?.split(',')[i];
  return {
    txid: makeTxid(0, 0, new Uint8Array(8)), createdAtMs: 0, timeoutMs: Number(timeout), ...(skip !== undefined && { skip: Number(skip) }),
    steps: steps.split(',').map((kind, i) => {
      const behind = at(after, i);
      return {
        kind: kind as SagaStepKind, vote: at(votes, i) === 'no' ? 'no' : 'yes', transientFailures: Number(at(failures, i) ?? '0'),
        ...(behind !== undefined && { after: behind === '-' ? [] : behind.split('+').map(Number) }),
      };
    }),
  };
}

export const SCENARIO_SYSTEMS: Readonly<Record<string, Factory>> = {
  saga: (options) => saga(sagaOf(options)),
  'two-phase-commit': (options) => twoPhaseCommit(transactionOf(options)),
  'three-phase-commit': (options) => threePhaseCommit(transactionOf(options)),
  // also f=1
  'paxos-commit': (options) => paxosCommit({ ...transactionOf(options), f: Number(options.f ?? '1') }),
};
