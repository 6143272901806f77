import type { Txid } from '#libs/protocol';
import { type AskedBranch, type AuditedTransaction, type BranchState, type Outcome, PARTICIPANTS, type Queryable, type ShopDatabases } from './types.js';

interface Row {
  readonly txid: Txid;
  readonly protocol: string;
  readonly branches: readonly { readonly participant: string; readonly operation: string; readonly kind?: string; readonly payload: { readonly orderId?: unknown } | null }[];
  readonly acceptors: readonly string[] | null;
  readonly key: string | null;
  readonly decision: 'COMMIT' | 'ABORT' | null;
  readonly end: Outcome | null;
  readonly reports: readonly { readonly state?: string }[] | null;
  readonly resolved: boolean;
}

/** Only what few transactions have is taken from the row as JSON: to write all of them that way would take long. */
const TRANSACTIONS = `
  SELECT b.txid, b.protocol, b.branches, CASE WHEN b.protocol = 'paxos-commit' THEN to_jsonb(b) -> 'acceptors' END AS acceptors, b.idempotency_key AS key,
         d.decision, e.outcome AS "end", CASE WHEN b.protocol = 'saga' THEN e.branches END AS reports,
         coalesce(e.reason ->> 'code' = 'RESOLVED_BY_OPERATOR', false)
           OR CASE WHEN b.protocol = 'saga' THEN coalesce(to_jsonb(e) -> 'resolved', 'null') <> 'null' ELSE false END AS resolved
    FROM tx_begin b LEFT JOIN tx_decision d USING (txid) LEFT JOIN tx_end e USING (txid)`;

export async function loadTransactions(coordinator: Queryable): Promise<ReadonlyMap<Txid, AuditedTransaction>> {
  const { rows } = await coordinator.query<Row>(TRANSACTIONS);
  return new Map(rows.map((row) => [row.txid, {
    txid: row.txid, protocol: row.protocol, decision: row.decision, end: row.end, key: row.key, resolved: row.resolved, acceptors: row.acceptors ?? [],
    outcome: outcomeOf(row), branches: row.branches.map((branch, i) => asked(branch, row.reports?.[i])),
  }]));
}

function asked(branch: Row['branches'][number], report: { readonly state?: string } | undefined): AskedBranch {
  const { orderId } = branch.payload ?? {};
  return {
    participant: branch.participant, operation: branch.operation, orderId: typeof orderId === 'string' ? orderId : null,
    kind: (branch.kind ?? null) as AskedBranch['kind'], skipped: report?.state === 'skipped',
  };
}

/** A transaction of branches is what its decision says; without one (paxos-commit may have none) what its end says. A saga is what its end says. */
function outcomeOf({ protocol, decision, end }: Row): Outcome | 'pending' {
  if (protocol === 'saga' || decision === null) return end ?? 'pending';
  return decision === 'COMMIT' ? 'committed' : 'aborted';
}

export async function loadBranches(databases: ShopDatabases): Promise<readonly BranchState[]> {
  const lists = await Promise.all(PARTICIPANTS.map(async (participant) => {
    const { rows } = await databases[participant].query<Omit<BranchState, 'participant'>>('SELECT txid, branch, state FROM concordat_branch');
    return rows.map((row) => ({ participant, ...row }));
  }));
  return lists.flat();
}

/** An acceptor's vote in one instance, as its row has it. */
export interface AcceptedVote {
  readonly ballot: { readonly n: number; readonly leader: number };
  readonly value: string;
}

export interface AcceptorVotes {
  readonly acceptor: string;
  readonly txid: Txid;
  readonly accepted: readonly (AcceptedVote | null)[];
}

export async function loadAcceptors(databases: Readonly<Record<string, Queryable>>): Promise<readonly AcceptorVotes[]> {
  const lists = await Promise.all(Object.entries(databases).map(async ([acceptor, database]) => {
    if (!(await hasTable(database, 'concordat_acceptor'))) return [];
    const { rows } = await database.query<Omit<AcceptorVotes, 'acceptor'>>('SELECT txid, accepted FROM concordat_acceptor');
    return rows.map((row) => ({ acceptor, ...row }));
  }));
  return lists.flat();
}

export async function hasTable(database: Queryable, name: string): Promise<boolean> {
  const { rows } = await database.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [name]);
  return rows[0]!.there;
}
