import type { Txid } from '#libs/protocol';
import { answersMatch, decisionsStand, eventsTellOutcomes, refusedAreNotCommitted } from './invariants/answers.js';
import { acceptorsAgree, branchesFollow, sagasFollow } from './invariants/branches.js';
import { everyTransactionEnded, nothingIsLeft } from './invariants/leftovers.js';
import { loadAcceptors, loadBranches, loadTransactions } from './invariants/load.js';
import { effectsMatchOrders, moneyIsConserved, stockIsConserved } from './invariants/shop.js';
import { type AuditedTransaction, type Evidence, type InvariantReport, isCommit, type Outcome, type ShopDatabases } from './invariants/types.js';

export type { Evidence, InvariantCheck, InvariantReport, Offender, Queryable, ShopDatabases } from './invariants/types.js';

/**
 * The invariants of design.md section 6 on a shop at rest, of all protocols, from the tables: every transaction ended, all branches
 * decided alike (AC1, AC3), sagas did or undid every step, acceptors agree with the outcome, no decision was reversed (AC2), client
 * answers and outcome events tell what is so, money and stock add up, nothing prepared and no lock is left.
 * @param evidence the answers alone, or everything that is known of the run
 */
export async function checkInvariants(databases: ShopDatabases, evidence: ReadonlyMap<Txid, Outcome> | Evidence = {}): Promise<InvariantReport> {
  const known: Evidence = evidence instanceof Map ? { answers: evidence } : evidence as Evidence;
  const { answers = new Map<Txid, Outcome>(), refusedKeys, events, acceptors = {}, cleaned = false } = known;
  const transactions = await loadTransactions(databases.coordinator);
  const branches = await loadBranches(databases);
  const { coordinator: _, ...sites } = databases;
  const checks = [
    ...(await everyTransactionEnded(databases.coordinator)),
    ...branchesFollow(transactions, branches, cleaned),
    sagasFollow(transactions, branches, cleaned),
    acceptorsAgree(transactions, await loadAcceptors({ ...sites, ...acceptors }), cleaned),
    answersMatch(transactions, answers, cleaned),
    ...(refusedKeys === undefined ? [] : [refusedAreNotCommitted(transactions, refusedKeys)]),
    decisionsStand(transactions, branches, known),
    ...(events === undefined ? [] : [eventsTellOutcomes(transactions, events)]),
    await moneyIsConserved(databases.payments),
    await stockIsConserved(databases.inventory),
    ...(await effectsMatchOrders(databases, transactions, cleaned)),
    ...(await nothingIsLeft(databases)),
  ];
  return { ok: checks.every((c) => c.ok), transactions: count(transactions), checks };
}

function count(transactions: ReadonlyMap<Txid, AuditedTransaction>): InvariantReport['transactions'] {
  const byProtocol: Record<string, Record<string, number>> = {};
  let committed = 0;
  let aborted = 0;
  for (const { protocol, outcome } of transactions.values()) {
    const outcomes = (byProtocol[protocol] ??= {});
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (isCommit(outcome)) committed++;
    else if (outcome !== 'pending') aborted++;
  }
  return { total: transactions.size, committed, aborted, byProtocol };
}
