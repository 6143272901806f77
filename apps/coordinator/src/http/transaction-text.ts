import type { BranchView, TransactionView } from '#libs/runtime';
import { iso, isoOrNull, transactionJson } from './transaction-json.js';

/**
 * What JSON.stringify makes of `transactionJson`, for a third of its cost: every answer to a submission is written by this. What is not
 * ours to choose is escaped; names of protocols, states and the like need no escaping, nor do times.
 */
export function transactionText(view: TransactionView): string {
  // Rare enough not to be written here once more.
  if (view.protocol === 'saga' || view.attention !== null) return JSON.stringify(transactionJson(view));
  let branches = '';
  for (const branch of view.branches) branches += branches === '' ? branchText(branch) : `,${branchText(branch)}`;
  return `{"id":"${view.txid}","protocol":"${view.protocol}","status":"${view.status}","decision":${word(view.decision)}`
    + `,"createdAt":"${iso(view.createdAtMs)}","deadlineAt":"${iso(view.deadlineMs)}","decidedAt":${word(isoOrNull(view.decidedAtMs))},"finishedAt":${word(isoOrNull(view.finishedAtMs))}`
    + `,"reason":${json(view.reason)},"branches":[${branches}],"attention":null,"resolved":${json(view.resolved)},"metadata":${json(view.metadata)}}`;
}

function branchText({ index, participant, operation, state, vote, attempts, result, reason }: BranchView): string {
  return `{"index":${index},"participant":${json(participant)},"operation":${json(operation)},"state":"${state}","vote":${word(vote)},"attempts":${attempts},"result":${json(result)},"reason":${json(reason)}}`;
}

function word(text: string | null): string {
  return text === null ? 'null' : `"${text}"`;
}

function json(value: unknown): string {
  return value === null ? 'null' : JSON.stringify(value);
}
