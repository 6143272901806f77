import type { Txid } from '#libs/protocol';
import type { AcceptedVote, AcceptorVotes } from './load.js';
import { type AuditedTransaction, type BranchState, check, type InvariantCheck, isCommit, type Offender, PARTICIPANTS } from './types.js';

type Transactions = ReadonlyMap<Txid, AuditedTransaction>;

/** AC1 and AC3 over the participants' own tables: the transactions of branches (2pc, 3pc, paxos-commit). */
export function branchesFollow(transactions: Transactions, branches: readonly BranchState[], cleaned: boolean): InvariantCheck[] {
  const split: Offender[] = [];
  const unknown: Offender[] = [];
  const applied = new Set<string>();
  for (const { participant, txid, branch, state } of branches) {
    const transaction = transactions.get(txid);
    const what = `${participant}, branch ${branch}: ${state}`;
    if (transaction === undefined) unknown.push({ txid, what });
    else if (transaction.branches[branch]?.participant !== participant) unknown.push({ txid, what: `${what}, which was not asked of it` });
    else if (transaction.protocol !== 'saga') {
      if (!agrees(state, isCommit(transaction.outcome))) split.push({ txid, what: `${what}, decision ${transaction.outcome}` });
      if (state === 'committed' || state === 'read-only') applied.add(`${txid} ${branch}`);
    }
  }
  const missing = [...transactions.values()].filter((t) => t.protocol !== 'saga' && isCommit(t.outcome) && !t.resolved).flatMap(({ txid, branches: asked }) => asked.flatMap(({ participant }, i) => (
    isOurs(participant) && !applied.has(`${txid} ${i}`) ? [{ txid, what: `${participant}, branch ${i}: not applied` }] : [])));
  return [
    check('every branch follows the decision', split),
    check('every branch belongs to a transaction', cleaned ? [] : unknown),
    check('every committed transaction is applied by all its branches', cleaned ? [] : missing),
  ];
}

function agrees(state: string, committed: boolean): boolean {
  if (state === 'read-only') return true;
  return committed ? state === 'committed' : state !== 'committed';
}

function isOurs(participant: string): boolean {
  return (PARTICIPANTS as readonly string[]).includes(participant);
}

/**
 * A completed saga has executed every step; a compensated one has undone every compensatable step that it had executed, and never
 * executed its pivot or anything after it. A step that an operator skipped may be either way.
 */
export function sagasFollow(transactions: Transactions, branches: readonly BranchState[], cleaned: boolean): InvariantCheck {
  const states = new Map(branches.map((row) => [`${row.txid} ${row.branch}`, row.state]));
  const wrong: Offender[] = [];
  for (const { txid, protocol, outcome, resolved, branches: steps } of transactions.values()) {
    if (protocol !== 'saga' || outcome === 'pending' || resolved) continue;
    for (const [i, { participant, kind, skipped }] of steps.entries()) {
      if (skipped || !isOurs(participant)) continue;
      const state = states.get(`${txid} ${i}`) ?? null;
      const right = isCommit(outcome) ? state === 'executed' || (cleaned && state === null) : state !== 'executed';
      // What was undone had to be one that can be.
      const possible = state !== 'compensated' || kind === 'compensatable' || kind === null;
      if (!right || !possible) wrong.push({ txid, what: `step ${i} (${kind ?? 'compensatable'}, ${participant}) is ${state ?? 'not there'}, the saga ${outcome}` });
    }
  }
  return check('every saga step follows the outcome', wrong);
}

/**
 * Gray and Lamport, section 4: committed if and only if for every branch a majority of the acceptors has accepted `prepared` in one
 * ballot. A row holds the last vote only, and a later leader may have got its ballot, with the same value, to some of that majority. So
 * of a committed transaction: in every branch a majority holds that value, and so does the vote of the greatest ballot. And of an
 * aborted one: not in every branch does a majority hold it of one ballot.
 */
export function acceptorsAgree(transactions: Transactions, votes: readonly AcceptorVotes[], cleaned: boolean): InvariantCheck {
  const byTransaction = Map.groupBy(votes, (vote) => vote.txid);
  const wrong: Offender[] = [];
  for (const { txid, protocol, outcome, branches, acceptors, resolved } of transactions.values()) {
    if (protocol !== 'paxos-commit' || outcome === 'pending' || resolved || acceptors.length === 0) continue;
    const rows = (byTransaction.get(txid) ?? []).filter((row) => acceptors.includes(row.acceptor));
    if (cleaned && rows.length === 0) continue;
    const majority = Math.floor(acceptors.length / 2) + 1;
    const instances = branches.map((_, i) => rows.flatMap((row) => row.accepted[i] ?? []));
    if (isCommit(outcome)) {
      for (const [i, instance] of instances.entries()) if (!holdsYes(instance, majority)) wrong.push({ txid, what: `committed, but branch ${i} has ${JSON.stringify(instance)} of ${acceptors.length} acceptors` });
    } else if (branches.length > 0 && instances.every((instance) => choseYes(instance, majority))) {
      wrong.push({ txid, what: 'aborted, but the acceptors have chosen prepared for every branch' });
    }
  }
  return check('the acceptors agree with the outcome', wrong);
}

const isYes = ({ value }: AcceptedVote): boolean => value === 'prepared' || value === 'read-only';

function holdsYes(instance: readonly AcceptedVote[], majority: number): boolean {
  if (instance.filter(isYes).length < majority) return false;
  return isYes(instance.reduce((last, vote) => (vote.ballot.n > last.ballot.n || (vote.ballot.n === last.ballot.n && vote.ballot.leader > last.ballot.leader) ? vote : last)));
}

function choseYes(instance: readonly AcceptedVote[], majority: number): boolean {
  const ballots = Map.groupBy(instance.filter(isYes), ({ ballot }) => `${ballot.n}/${ballot.leader}`);
  return [...ballots.values()].some((votes) => votes.length >= majority);
}
