import type { AcceptorRow, Txid } from '#libs/protocol';
import type { AnyBranchRow, BranchKey, LeaderRow, SiteKeys, SiteRows } from '#libs/runtime';
import { insertAcceptors, loadAcceptors, updateAcceptors } from './sql/acceptors.js';
import { changeBranches, insertBranches, loadBranches } from './sql/branches.js';
import { insertLeaders, loadLeaders, updateLeaders } from './sql/leaders.js';
import type { Statement } from './sql/statement.js';

/** Rows that are in the database, as one local transaction last saw them: what is new is inserted, what is known is updated. */
export class KnownRows {
  private readonly branches = new Map<string, AnyBranchRow>();
  private readonly acceptors = new Map<Txid, AcceptorRow>();
  private readonly leaders = new Map<Txid, LeaderRow>();

  learn({ branches, acceptors, leaders }: SiteRows): void {
    for (const row of branches) this.branches.set(branchKey(row), row);
    for (const row of acceptors) this.acceptors.set(row.txid, row);
    for (const row of leaders) this.leaders.set(row.group.txid, row);
  }

  /** Statements that bring the database to these rows, and which then count as known. `finding`: those that have to look for rows. */
  write(rows: SiteRows): { readonly inserting: readonly Statement[]; readonly finding: readonly Statement[] } {
    const branches = sort(latest(rows.branches, branchKey), this.branches);
    const acceptors = sort(latest(rows.acceptors, (row) => row.txid), this.acceptors);
    const leaders = sort(latest(rows.leaders, (row) => row.group.txid), this.leaders);
    this.learn(rows);
    return {
      inserting: [
        ...some(branches.added, insertBranches), ...some(acceptors.added, insertAcceptors), ...some(leaders.added, insertLeaders),
      ],
      finding: [
        ...changeBranches(branches.changed), ...some(acceptors.changed.map(({ row }) => row), updateAcceptors), ...some(leaders.changed.map(({ row }) => row), updateLeaders),
      ],
    };
  }
}

/** Always in this order, so that batches wait for each other instead of deadlocking. */
export function loadStatements({ branches, acceptors, leaders }: SiteKeys): { readonly [T in keyof SiteKeys]: Statement | null } {
  return {
    branches: branches.length === 0 ? null : loadBranches(branches),
    acceptors: acceptors.length === 0 ? null : loadAcceptors(acceptors),
    leaders: leaders.length === 0 ? null : loadLeaders(leaders),
  };
}

export function branchKey(key: BranchKey): string {
  return `${key.txid}/${key.branch}`;
}

function latest<Row>(rows: readonly Row[], key: (row: Row) => string): Map<string, Row> {
  return new Map(rows.map((row) => [key(row), row]));
}

function sort<Row>(rows: ReadonlyMap<string, Row>, known: ReadonlyMap<string, Row>): { readonly added: readonly Row[]; readonly changed: readonly { readonly row: Row; readonly before: Row }[] } {
  const added: Row[] = [];
  const changed: { row: Row; before: Row }[] = [];
  for (const [key, row] of rows) {
    const before = known.get(key);
    if (before === undefined) added.push(row);
    else changed.push({ row, before });
  }
  return { added, changed };
}

function some<Row>(rows: readonly Row[], statement: (rows: readonly Row[]) => Statement): readonly Statement[] {
  return rows.length === 0 ? [] : [statement(rows)];
}
