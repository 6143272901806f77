import type { Txid } from '#libs/protocol';
import { BRANCH_RACE, type AnyBranchRow, type BranchTransaction, type ExpectedBranches } from '../ports.js';
import { branchId } from './keys.js';
import { versionOf } from './roles/rows.js';
import type { Outcome, Work } from './run.js';

/** The row that a branch should have; null: none. */
export interface Expectation {
  readonly row: AnyBranchRow | null;
}

/** The first messages of a branch or step: what it does with them it writes down, unless there is a row already. */
const FIRST: ReadonlySet<string> = new Set(['PREPARE', 'PREPARE_AND_COMMIT', 'EXECUTE']);

/** Something else is in the database than was expected. */
class UnexpectedRowError extends Error {
  readonly code = BRANCH_RACE;

  constructor(id: string) {
    super(`branch ${id} is not as this process has seen it last`);
    this.name = 'UnexpectedRowError';
  }
}

/** Null: nothing is known of any of them. */
export function expectationsOf(works: readonly Work[], { expect }: { expect(id: string, txid: Txid): Expectation | null }): ExpectedBranches | null {
  const present: AnyBranchRow[] = [];
  const absent: Extract<Work['key'], { role: 'branch' }>[] = [];
  for (const { id, key, inputs } of works) {
    const expectation = key.role === 'branch' ? expect(id, key.txid) : null;
    if (key.role !== 'branch' || expectation === null) continue;
    if (expectation.row !== null) present.push(expectation.row);
    else if (isFirst(inputs[0])) absent.push(key);
  }
  return present.length + absent.length === 0 ? null : { present, absent };
}

function isFirst(first: Work['inputs'][number] | undefined): boolean {
  return first?.input.kind === 'MESSAGE' && FIRST.has(first.input.message.kind);
}

/**
 * Looks up what was expected and has not been written, so that no message leaves on the strength of a guess.
 * @throws UnexpectedRowError
 */
export async function checkExpected(tx: Pick<BranchTransaction<unknown>, 'load'>, { present, absent }: ExpectedBranches, outcomes: readonly Outcome[]): Promise<void> {
  if (outcomes.every((outcome) => outcome.written)) return;
  const written = new Set(outcomes.flatMap((outcome) => (outcome.written ? [outcome.id] : [])));
  const versions = new Map<string, string | null>();
  for (const row of present) versions.set(branchId(row), versionOf(row));
  for (const key of absent) versions.set(branchId(key), null);
  const branches = [...present, ...absent].filter((key) => !written.has(branchId(key))).map(({ txid, branch }) => ({ txid, branch }));
  if (branches.length === 0) return;
  const found = await tx.load({ branches, acceptors: [], leaders: [] });
  const foundVersions = new Map(found.branches.map((row) => [branchId(row), versionOf(row)]));
  for (const key of branches) {
    const id = branchId(key);
    if ((foundVersions.get(id) ?? null) !== versions.get(id)) throw new UnexpectedRowError(id);
  }
}
