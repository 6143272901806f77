import { bodyOf, ClientErrorCode, ConcordatError, errorOf } from './errors.js';
import type { HttpAnswer } from './http.js';
import type { CertainOutcome, Transaction, TransactionRequest } from './types.js';

/** How far a transaction must have got for its caller to have an answer. */
export type Until = 'decided' | 'finished';

/** What the request says, or what the coordinator takes where it says nothing. */
export function untilOf(transaction: Transaction, request?: TransactionRequest): Until {
  return request?.waitFor ?? (transaction.protocol === 'saga' ? 'finished' : 'decided');
}

/** The outcome, if the transaction has got that far. */
export function certain(transaction: Transaction, until: Until, answer?: HttpAnswer): CertainOutcome | null {
  const outcome = outcomeOf(transaction);
  if (outcome === null || answer?.status === 202) return null;
  if (until === 'finished' && transaction.finishedAt === null) return null;
  return { outcome, id: transaction.id, reason: transaction.reason ?? null, transaction };
}

/** Of a saga the decision speaks: its status tells how far it is on the way there. */
function outcomeOf({ protocol, status, decision }: Transaction): CertainOutcome['outcome'] | null {
  if (protocol !== 'saga') return status === 'committed' || status === 'aborted' ? status : null;
  if (decision === null) return null;
  return decision === 'COMMIT' ? 'completed' : 'compensated';
}

export function pendingError({ id, status }: Transaction): ConcordatError {
  if (status === 'needs-attention') return new ConcordatError({ status: 202, code: ClientErrorCode.NEEDS_ATTENTION, message: `saga ${id} needs a person, and goes on trying` });
  return new ConcordatError({ status: 202, code: ClientErrorCode.STILL_PENDING, message: `transaction ${id} has not got there yet` });
}

/** A 5xx that is not 503: whether the request was taken is not known. */
export function isServerFault(status: number): boolean {
  return status >= 500 && status !== 503;
}

/** @throws ConcordatError for a problem, and for a body that is not a transaction */
export function transactionIn(answer: HttpAnswer): Transaction {
  if (answer.status >= 300) throw errorOf(answer);
  const body = bodyOf(answer);
  if (typeof body?.id !== 'string' || typeof body.status !== 'string') throw invalidAnswer(answer);
  return body as unknown as Transaction;
}

/** The items of a batch's answer: transactions, or problems in their place. */
export function itemsIn(answer: HttpAnswer, count: number): readonly Record<string, unknown>[] {
  if (answer.status >= 300) throw errorOf(answer);
  const items = bodyOf(answer)?.transactions;
  if (!Array.isArray(items) || items.length !== count) throw invalidAnswer(answer);
  return items;
}

/** The error that a problem in an item's place tells of. */
export function itemError(item: Readonly<Record<string, unknown>>): ConcordatError {
  const headers = typeof item.retryAfter === 'number' ? { 'retry-after': String(item.retryAfter) } : {};
  return errorOf({ status: item.status as number, headers, text: '', body: item });
}

function invalidAnswer(answer: HttpAnswer): ConcordatError {
  return new ConcordatError({ status: answer.status, code: ClientErrorCode.INVALID_ANSWER, message: `this is not a coordinator's answer (${answer.status}): ${answer.text.slice(0, 200)}` });
}
