import type { HttpAnswer } from './http.js';

/** One field that was refused, by its path: `branches[1].payload.amountCents`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** Codes that the client itself gives; every other code comes from the coordinator's problem document. */
export const ClientErrorCode = {
  /** No coordinator could be connected to within the caller's time: nothing was sent. */
  COORDINATOR_UNREACHABLE: 'COORDINATOR_UNREACHABLE',
  /** The request may have arrived, its answer did not (connection reset, timeout). */
  ANSWER_LOST: 'ANSWER_LOST',
  /** The coordinator answered, in time, that the transaction is not decided (or, as far as that was waited for, finished) yet. */
  STILL_PENDING: 'STILL_PENDING',
  /** The same of a saga that needs a person; it goes on trying. */
  NEEDS_ATTENTION: 'NEEDS_ATTENTION',
  /** Something answered that does not speak like a coordinator. */
  INVALID_ANSWER: 'INVALID_ANSWER',
} as const;

/** A request that was not taken, or whose fate is not known. `code` is stable; `status` is the HTTP status, 0 without an answer. */
export class ConcordatError extends Error {
  readonly status: number;
  readonly code: string;
  /** The refused fields, for 400 and 422. */
  readonly errors: readonly FieldError[];
  /** How long the coordinator asked to wait before the next attempt, if it did. */
  readonly retryAfterMs: number | null;

  constructor(fields: { status: number; code: string; message: string; errors?: readonly FieldError[]; retryAfterMs?: number | null; cause?: unknown }) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'ConcordatError';
    this.status = fields.status;
    this.code = fields.code;
    this.errors = fields.errors ?? [];
    this.retryAfterMs = fields.retryAfterMs ?? null;
  }
}

/** The error for an answer that is not a success: its problem document (RFC 9457) if it has one. */
export function errorOf(answer: HttpAnswer): ConcordatError {
  const problem = bodyOf(answer);
  const text = (name: string): string | null => (typeof problem?.[name] === 'string' ? problem[name] : null);
  const message = [text('title'), text('detail')].filter((part) => part !== null && part !== '').join(': ');
  return new ConcordatError({
    status: answer.status,
    code: text('code') ?? `HTTP_${answer.status}`,
    message: message === '' ? `the coordinator answered ${answer.status}` : message,
    errors: Array.isArray(problem?.errors) ? problem.errors.filter(isFieldError) : [],
    retryAfterMs: retryAfterMs(answer.headers['retry-after']),
  });
}

/** The JSON object that an answer holds; null if it holds none. */
export function bodyOf(answer: HttpAnswer): Readonly<Record<string, unknown>> | null {
  return answer.body ?? parseObject(answer.text);
}

/** The JSON object of a text; null if it is none. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isFieldError(value: unknown): value is FieldError {
  return typeof value === 'object' && value !== null && typeof (value as FieldError).path === 'string' && typeof (value as FieldError).message === 'string';
}

/** RFC 9110 section 10.2.3: seconds or a date. */
function retryAfterMs(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}
