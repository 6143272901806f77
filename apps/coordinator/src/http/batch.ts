import { UnavailableError } from '#libs/runtime';
import { isObject, type Logger, ProblemException, unavailableProblem, validationProblem } from '#libs/service';
import type { Submitted } from '../submit/submission.js';
import type { LineStream } from './line-stream.js';
import { mapError } from './map-error.js';
import { transactionText } from './transaction-text.js';

export const MAX_BATCH = 1_000;

/** @throws ProblemException 400 */
export function itemsOf(body: unknown): readonly unknown[] {
  if (!isObject(body)) throw validationProblem([{ path: '', message: 'must be a JSON object' }], 'body');
  const extra = Object.keys(body).filter((key) => key !== 'transactions');
  if (extra.length > 0) throw validationProblem(extra.slice(0, 50).map((path) => ({ path, message: 'is not a known field' })));
  const { transactions } = body;
  if (!Array.isArray(transactions) || transactions.length === 0 || transactions.length > MAX_BATCH) {
    throw validationProblem([{ path: 'transactions', message: `must be a list of 1 to ${MAX_BATCH} transactions${Array.isArray(transactions) ? `, not ${transactions.length}` : ''}` }]);
  }
  return transactions;
}

/**
 * One header cannot be the key of many transactions; whoever sends it believes that a repetition is safe.
 * @throws ProblemException 400
 */
export function refuseKeyOfBatch(header: unknown): void {
  if (header === undefined) return;
  throw validationProblem([{ path: 'Idempotency-Key', message: 'belongs to POST /v1/transactions; in a batch give each transaction a key of its own in its field "idempotencyKey"' }]);
}

/**
 * Answers in the order asked, as the JSON of a list.
 * @throws UnavailableError if none was taken for a reason that passes: the whole batch can be sent again
 */
export async function inOrder(submitted: readonly Promise<Submitted>[], logger: Logger): Promise<string> {
  const answers = await Promise.allSettled(submitted);
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (failed?.reason instanceof UnavailableError && answers.every((answer) => answer.status === 'rejected' && answer.reason instanceof UnavailableError)) throw failed.reason;
  return `[${answers.map((answer) => (answer.status === 'fulfilled' ? transactionText(answer.value.view) : JSON.stringify(itemProblem(answer.reason, logger)))).join(',')}]`;
}

/** Each answer as a line of its own, as soon as it is there. */
export async function lineByLine(submitted: readonly Promise<Submitted>[], lines: LineStream, logger: Logger): Promise<void> {
  await Promise.all(submitted.map((answer, index) => answer.then(
    ({ view }) => lines.write(`{"index":${index},"transaction":${transactionText(view)}}`),
    (error: unknown) => lines.write(JSON.stringify({ index, problem: itemProblem(error, logger) })),
  )));
  lines.end();
}

/**
 * Whatever befalls an item is told in its place and changes nothing for the others. Of one whose status is 500 or more (but not 503) its
 * caller can conclude nothing: it may have been taken.
 */
function itemProblem(error: unknown, logger: Logger): unknown {
  const known = error instanceof UnavailableError ? unavailableProblem(error) : error instanceof ProblemException ? error : mapError(error);
  if (known === null) logger.error({ err: error }, 'unexpected error in an item of a batch');
  const { problem, headers } = known ?? new ProblemException(500, 'INTERNAL', 'An unexpected error occurred; it has been logged.');
  return headers['retry-after'] === undefined ? problem : { ...problem, retryAfter: Number(headers['retry-after']) };
}
