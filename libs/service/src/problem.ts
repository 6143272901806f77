import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import type { UnavailableError } from '#libs/runtime';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** One wrong field; `path` in the form `branches[1].payload.amountCents`, '' for the whole body. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
  /** Stable, where one kind of refusal has several causes. */
  readonly code?: string;
}

/** RFC 9457, with a stable `code` and, for validation, `errors`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly FieldError[];
  readonly [extension: string]: unknown;
}

export interface ProblemOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the document. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Answers the request with a problem document. */
export class ProblemException extends HttpException {
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param code stable, SCREAMING_SNAKE
   * @param detail for people: what was wrong and what to do
   * @param retryAfterMs sent as `Retry-After` in whole seconds, at least 1
   */
  constructor(status: number, readonly code: string, detail: string, errors: readonly FieldError[] = [], readonly retryAfterMs?: number, options: ProblemOptions = {}) {
    super(problemOf(status, code, detail, errors, options.extensions), status, { cause: options.cause });
    this.headers = retryAfterMs === undefined ? { ...options.headers } : { ...options.headers, 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
    this.message = detail;
  }

  get problem(): Problem {
    return this.getResponse() as Problem;
  }
}

export function problemOf(status: number, code: string, detail: string, errors: readonly FieldError[] = [], extensions: Readonly<Record<string, unknown>> = {}): Problem {
  return {
    type: `urn:concordat:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    code,
    ...(errors.length > 0 ? { errors } : {}),
    ...extensions,
  };
}

const TOO_MANY: ReadonlySet<string> = new Set(['OVERLOADED', 'PARTICIPANT_OVERLOADED']);

/** 429 when the caller should slow down, 503 when something is out of reach. */
export function unavailableProblem(error: UnavailableError): ProblemException {
  return new ProblemException(TOO_MANY.has(error.code) ? 429 : 503, error.code, error.message, [], error.retryAfterMs);
}
