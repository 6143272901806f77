import type { AcceptorRow } from '#libs/protocol';
import type { AnyBranchRow, LeaderRow } from '../../ports.js';
import type { Row } from './role.js';

/** The row of a branch of this protocol. */
export function branchRow<P extends AnyBranchRow['protocol']>({ table, row }: Row, protocol: P): Extract<AnyBranchRow, { protocol: P }> {
  if (table !== 'branches' || row.protocol !== protocol) throw new Error(`this is no branch of ${protocol}`);
  return row as Extract<AnyBranchRow, { protocol: P }>;
}

export function acceptorRow(row: Row | null): AcceptorRow | null {
  return row?.table === 'acceptors' ? row.row : null;
}

export function leaderRow(row: Row | null): LeaderRow | null {
  return row?.table === 'leaders' ? row.row : null;
}

/** A branch that has said YES and does not know the decision. Steps of a saga never wait. */
export function isUndecided(row: AnyBranchRow): boolean {
  return row.protocol !== 'saga' && (row.state === 'prepared' || row.state === 'pre-committed' || row.state === 'pre-aborted');
}

/** Tells one version of a row from the others: an undecided one of 3pc may be written several times in the same state. */
export function versionOf(row: AnyBranchRow): string {
  if (row.protocol !== '3pc') return row.state;
  const { state, lastElected, lastAttempt } = row;
  return `${state} ${lastElected.n} ${lastElected.site} ${lastAttempt.n} ${lastAttempt.site}`;
}
