/** The systems whose costs are compared, each as a failure-free commit of n participants. */
import { makeTxid } from '#libs/protocol';
import type { System } from '../system.js';
import { paxosCommit } from '../systems/paxos-commit.js';
import { saga } from '../systems/saga.js';
import { threePhaseCommit } from '../systems/three-phase-commit.js';
import { twoPhaseCommit, type Transaction } from '../systems/two-phase-commit.js';
import { paxosCommitFormula, quorumFormula, sagaFormula, twoPhaseFormula } from './formulas.js';
import type { LayoutName } from './layout.js';
import type { Cost } from './measure.js';

export interface ComparedProtocol {
  readonly name: string;
  /** Acceptors that may fail; null: the protocol has none. */
  readonly f: number | null;
  /** False: nobody has prepared before the request, so the machines run as they are in every layout. */
  readonly initiator: boolean;
  readonly system: (n: number) => System;
  readonly formula: (n: number, layout: LayoutName) => Cost;
}

const TXID = makeTxid(0, 0, new Uint8Array(8));
const FAR_MS = 60_000;

function allYes(n: number): Transaction {
  return { txid: TXID, votes: Array.from({ length: n }, () => 'yes'), createdAtMs: 0, timeoutMs: FAR_MS, waitFor: 'decided' };
}

/** One step after the other; the last is the pivot, so that every earlier one could be compensated. */
function chain(n: number): System {
  const steps = Array.from({ length: n }, (_, i) => ({ kind: i === n - 1 ? 'pivot' as const : 'compensatable' as const, vote: 'yes' as const }));
  return saga({ txid: TXID, steps, createdAtMs: 0, timeoutMs: FAR_MS });
}

export const COMPARED: readonly ComparedProtocol[] = [
  { name: '2PC', f: null, initiator: true, system: (n) => twoPhaseCommit(allYes(n)), formula: twoPhaseFormula },
  { name: 'E3PC', f: null, initiator: true, system: (n) => threePhaseCommit(allYes(n)), formula: quorumFormula },
  ...[0, 1, 2].map((f): ComparedProtocol => ({
    name: `Paxos Commit, F=${f}`, f, initiator: true, system: (n) => paxosCommit({ ...allYes(n), f }), formula: (n, layout) => paxosCommitFormula(n, f, layout),
  })),
  { name: 'saga, N steps', f: null, initiator: false, system: chain, formula: sagaFormula },
];
