import type { Txid } from '#libs/protocol';
import { type AuditedTransaction, type BranchState, check, type Evidence, type InvariantCheck, isCommit, type Offender, type Outcome } from './types.js';

type Transactions = ReadonlyMap<Txid, AuditedTransaction>;

/** No acknowledged transaction is lost, and the client's answer is the decision. */
export function answersMatch(transactions: Transactions, answers: ReadonlyMap<Txid, Outcome>, cleaned: boolean): InvariantCheck {
  const wrong = [...answers].flatMap(([txid, told]): Offender[] => {
    const outcome = transactions.get(txid)?.outcome;
    return outcome === told || (outcome === undefined && cleaned) ? [] : [{ txid, what: `told ${told}, is ${outcome ?? 'absent'}` }];
  });
  return check('every client answer equals the decision', wrong, `${answers.size} answers`);
}

/** A client that was told "not taken" may do its work elsewhere. */
export function refusedAreNotCommitted(transactions: Transactions, keys: ReadonlySet<string>): InvariantCheck {
  const wrong = [...transactions.values()].filter((t) => t.key !== null && keys.has(t.key) && isCommit(t.outcome)).map(({ txid, outcome }) => ({ txid, what: `told "not taken", is ${outcome}` }));
  return check('nothing that was refused is committed', wrong, `${keys.size} refused`);
}

/** AC2, from what was seen on the way; and the end of a transaction is that of its decision. */
export function decisionsStand(transactions: Transactions, branches: readonly BranchState[], evidence: Evidence): InvariantCheck {
  const { decisionsSeen = new Map<Txid, string>(), branchesSeen = new Map<string, string>(), cleaned = false } = evidence;
  const wrong: Offender[] = [];
  for (const { txid, decision, end } of transactions.values()) {
    if (decision !== null && end !== null && (decision === 'COMMIT') !== isCommit(end)) wrong.push({ txid, what: `decided ${decision}, ended ${end}` });
  }
  for (const [txid, seen] of decisionsSeen) {
    const decision = transactions.get(txid)?.decision ?? null;
    if (decision !== seen && !(cleaned && decision === null)) wrong.push({ txid, what: `decision was ${seen}, is ${decision ?? 'absent'}` });
  }
  const states = branchesSeen.size === 0 ? null : new Map(branches.map((row) => [`${row.participant} ${row.txid} ${row.branch}`, row.state]));
  for (const [key, seen] of branchesSeen) {
    const state = states!.get(key) ?? null;
    const [participant, txid, branch] = key.split(' ') as [string, Txid, string];
    if (state === seen || (cleaned && state === null) || (seen === 'executed' && state === 'compensated')) continue;
    wrong.push({ txid, what: `${participant}, branch ${branch} was ${seen}, is ${state ?? 'absent'}` });
  }
  return check('no decision is reversed', wrong, `${decisionsSeen.size} decisions and ${branchesSeen.size} branches seen on the way`);
}

/** Other systems learn of every transaction that has ended, and the truth. */
export function eventsTellOutcomes(transactions: Transactions, events: ReadonlyMap<Txid, ReadonlySet<string>>): InvariantCheck {
  const wrong: Offender[] = [];
  for (const { txid, outcome } of transactions.values()) {
    const told = events.get(txid);
    if (told === undefined) {
      if (outcome !== 'pending') wrong.push({ txid, what: `${outcome}, and no event` });
    } else if ([...told].some((status) => status !== outcome)) {
      wrong.push({ txid, what: `${outcome}, and events say ${[...told].join(', ')}` });
    }
  }
  return check('every outcome has its event', wrong, `${events.size} transactions with events`);
}
