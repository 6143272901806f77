import { type HttpAnswer, NoAnswerError } from '../http-connections.js';
import { type Attempted, refused, unknown } from './way.js';

/** What of a transaction in an answer of the coordinator matters here. */
export interface AnsweredTransaction {
  readonly id: string;
  readonly status: string;
  readonly reason?: { readonly code?: string } | null;
}

const ENDINGS: Readonly<Record<string, 'committed' | 'aborted'>> = { committed: 'committed', completed: 'committed', aborted: 'aborted', compensated: 'aborted' };

/** Of a saga that completed or was compensated, as of a transaction that committed or aborted. Whatever is not decided is unknown. */
export function ofTransaction({ id, status, reason }: AnsweredTransaction): Attempted {
  const ending = ENDINGS[status];
  return ending === undefined ? unknown('STILL_PENDING', id) : { ending, reason: reason?.code ?? null, txid: id, outcome: status };
}

/** Of a problem document. Below 500, and with 503, the request was certainly not taken; of any other nothing can be concluded. */
export function ofProblem(status: number, code: string | undefined): Attempted {
  const reason = code ?? `HTTP_${status}`;
  return status < 500 || status === 503 ? refused(reason) : unknown(reason);
}

/** Of an answer that is not a success. */
export function ofRefusal({ status, text }: HttpAnswer): Attempted {
  return ofProblem(status, /"code":"(\w+)"/.exec(text)?.[1]);
}

/** Of no answer. @throws what is no NoAnswerError */
export function ofFailure(error: unknown): Attempted {
  if (!(error instanceof NoAnswerError)) throw error;
  return error.sent ? unknown('ANSWER_LOST') : refused(error.code);
}
