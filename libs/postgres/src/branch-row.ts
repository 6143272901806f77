import type { Acceptors, Election, Json, Peers, ProtocolName, Reason, SagaRow, Txid } from '#libs/protocol';
import type { AnyBranchRow } from '#libs/runtime';

/** A row of `concordat_branch`. */
export interface StoredBranch {
  readonly txid: Txid;
  readonly branch: number;
  readonly protocol: ProtocolName;
  readonly state: string;
  readonly one_phase: boolean;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  readonly reason: Reason | null;
  readonly result: Json | null;
  /** What only this protocol keeps; null of 2pc. */
  readonly detail: unknown;
  readonly updated_at: Date;
}

interface ThreePhaseDetail {
  readonly readOnly: boolean;
  readonly lastElected: Election;
  readonly lastAttempt: Election;
}

interface PaxosDetail {
  readonly acceptors: Acceptors;
}

type SagaDetail = Pick<SagaRow, 'step' | 'stepKind'>;

/** The table's CHECKs see to it that protocol, state and detail belong together. */
export function branchRow({ protocol, one_phase, peers, detail, updated_at, ...row }: StoredBranch): AnyBranchRow {
  const common = { ...row, updatedAtMs: updated_at.getTime() };
  switch (protocol) {
    case '2pc':
      return { protocol, ...common, onePhase: one_phase, peers } as AnyBranchRow;
    case '3pc':
      return { protocol, ...common, peers, ...(detail as ThreePhaseDetail) } as AnyBranchRow;
    case 'paxos-commit':
      return { protocol, ...common, peers, ...(detail as PaxosDetail) } as AnyBranchRow;
    case 'saga':
      return { protocol, ...common, ...(detail as SagaDetail) } as AnyBranchRow;
  }
}

export function peersOf(row: AnyBranchRow): Peers {
  return row.protocol === 'saga' ? [] : row.peers;
}

export function detailOf(row: AnyBranchRow): ThreePhaseDetail | PaxosDetail | SagaDetail | null {
  switch (row.protocol) {
    case '2pc':
      return null;
    case '3pc':
      return { readOnly: row.readOnly, lastElected: row.lastElected, lastAttempt: row.lastAttempt };
    case 'paxos-commit':
      return { acceptors: row.acceptors };
    case 'saga':
      return { step: row.step, stepKind: row.stepKind };
  }
}
