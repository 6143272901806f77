/**
 * What a failure-free commit of N participants costs by hand. Two-phase and Paxos Commit: Gray and Lamport, *Consensus on Transaction
 * Commit*, TODS 31(1) 2006, sections 3.1, 4.3 and 5; the terms below are its sums written out. E3PC and the saga are derived here the same way.
 * `apart` for Paxos Commit is the paper's (N+1)(F+3)-2, `leader-accepts` its (N+1)(F+3)-4, `co-located` its N(F+3)-3.
 */
import type { LayoutName } from './layout.js';
import type { Cost } from './measure.js';

/** Request 1, PREPARE and vote N-1 each (the initiator's vote is in its request), COMMIT N: 3N-1; with the coordinator's own participant 3(N-1). */
export function twoPhaseFormula(n: number, layout: LayoutName): Cost {
  return layout === 'co-located' ? { messages: 3 * n - 3, delays: 3, writes: n + 1 } : { messages: 3 * n - 1, delays: 4, writes: n + 1 };
}

/**
 * Apart: request 1, PREPARE N-1, phase 2a to F+1 acceptors N(F+1), phase 2b F+1, COMMIT N: (N+1)(F+3)-2. An acceptor 0 on the leader's
 * node saves its phase 2b and, since the request carries it, the initiator's phase 2a: two messages fewer. Co-located: PREPARE and COMMIT
 * N-1 each, every acceptor's own participant and the leader's own acceptor are free: N(F+3)-3. The paper assumes that F+1 <= N; each
 * acceptor in use that finds no participant to live with saves no phase 2a, one message more. With N = 2, F = 1 the second acceptor waits
 * for nobody but its own participant and the initiator, which saves a delay.
 * With F = 0 and the acceptor on the leader's node all of this is two-phase commit's.
 */
export function paxosCommitFormula(n: number, f: number, layout: LayoutName): Cost {
  const writes = n + f + 1;
  switch (layout) {
    case 'apart':
      return { messages: (n + 1) * (f + 3) - 2, delays: 5, writes };
    case 'leader-accepts':
      return { messages: (n + 1) * (f + 3) - 4, delays: f === 0 ? 4 : 5, writes };
    case 'co-located':
      return { messages: n * (f + 3) - 3 + Math.max(0, f + 1 - n), delays: f === 0 || (n === 2 && f === 1) ? 3 : 4, writes };
  }
}

/**
 * Quorum three-phase commit: as two-phase commit, and PRE_COMMIT and its acknowledgement N each (N-1 co-located) in between, two delays more.
 * Every participant forces its vote and its pre-commit, the coordinator its own pre-commit and its decision. Two participants, co-located:
 * coordinator and participant 0 are a majority of the three sites and on one node, so COMMIT follows PRE_COMMIT at once.
 */
export function quorumFormula(n: number, layout: LayoutName): Cost {
  if (layout === 'co-located' && n === 2) return { messages: 4, delays: 3, writes: 5 };
  return layout === 'co-located' ? { messages: 5 * n - 5, delays: 5, writes: 2 * n + 2 } : { messages: 5 * n - 1, delays: 6, writes: 2 * n + 2 };
}

/**
 * A saga of N steps, one after the other, until the last one has run: the request 1, EXECUTE N, EXECUTED N-1; co-located the request and
 * the first step are free. Writes until the client is told: each step's own, SENT before each but the first (which is part of BEGIN),
 * DECIDE and END.
 */
export function sagaFormula(n: number, layout: LayoutName): Cost {
  const apart = 2 * n;
  return layout === 'co-located' ? { messages: apart - 3, delays: apart - 3, writes: 2 * n + 1 } : { messages: apart, delays: apart, writes: 2 * n + 1 };
}
