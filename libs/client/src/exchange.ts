import { setTimeout as sleep } from 'node:timers/promises';
import { ClientErrorCode, ConcordatError, errorOf } from './errors.js';
import type { Attempt, Endpoint, HttpAnswer, HttpCall } from './http.js';

/**
 * answer   anything but 429 and 503
 * lost     the request may have arrived
 * refused  certainly not taken: every coordinator was out of reach or answered 429 or 503 until the time was up
 */
export type ExchangeResult =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  | { readonly kind: 'lost'; readonly error: ConcordatError }
  | { readonly kind: 'refused'; readonly error: ConcordatError };

/** Makes one attempt at one coordinator. */
export type Send = (endpoint: Endpoint, remainingMs: number) => Promise<Attempt>;

const REST_MS = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** Sends calls to one of several coordinators: in turn, and to the next one where one cannot take it. */
export class Exchanger {
  private turn = 0;

  constructor(private readonly endpoints: readonly Endpoint[]) {}

  /**
   * Tries until there is an answer, the answer is lost, or the deadline is nearer than the next attempt would be.
   * @param deadlineMs milliseconds since the epoch
   * @param graceMs how much longer than the deadline an answer is awaited, for a server that waits until the deadline itself
   */
  exchange(call: (remainingMs: number) => HttpCall, deadlineMs: number, graceMs: number): Promise<ExchangeResult> {
    return this.exchangeBy((endpoint, remainingMs) => endpoint.attempt(call(remainingMs), remainingMs + graceMs), deadlineMs);
  }

  /** The same, with each attempt made by `send`. */
  async exchangeBy(send: Send, deadlineMs: number): Promise<ExchangeResult> {
    for (let round = 0; ; round++) {
      const result = await this.oneRound(send, deadlineMs);
      if (result.kind !== 'refused') return result;
      const pauseMs = Math.max(result.error.retryAfterMs ?? 0, backoff(round));
      if (performance.now() + pauseMs >= deadlineMs) return result;
      await sleep(pauseMs);
    }
  }

  private async oneRound(send: Send, deadlineMs: number): Promise<ExchangeResult> {
    let refusal: ConcordatError | null = null;
    for (const endpoint of this.inTurn()) {
      const remainingMs = Math.max(0, deadlineMs - performance.now());
      if (refusal !== null && remainingMs === 0) break;
      const attempt = await send(endpoint, remainingMs);
      if (attempt.kind === 'lost') {
        return { kind: 'lost', error: new ConcordatError({ status: 0, code: ClientErrorCode.ANSWER_LOST, message: `the answer of ${endpoint.url} was lost: ${attempt.cause.message}`, cause: attempt.cause }) };
      }
      if (attempt.kind === 'answer' && attempt.answer.status !== 429 && attempt.answer.status !== 503) return attempt;
      endpoint.restsUntilMs = performance.now() + REST_MS;
      refusal = attempt.kind === 'answer' ? errorOf(attempt.answer) : unreachable(endpoint, attempt.cause);
    }
    return { kind: 'refused', error: refusal! };
  }

  /** Those not resting first, starting with another one each time. */
  private inTurn(): readonly Endpoint[] {
    const { endpoints } = this;
    if (endpoints.length === 1) return endpoints;
    this.turn = (this.turn + 1) % endpoints.length;
    const rotated = [...endpoints.slice(this.turn), ...endpoints.slice(0, this.turn)];
    const now = performance.now();
    return [...rotated.filter((e) => e.restsUntilMs <= now), ...rotated.filter((e) => e.restsUntilMs > now)];
  }
}

function unreachable(endpoint: Endpoint, cause: Error): ConcordatError {
  return new ConcordatError({ status: 0, code: ClientErrorCode.COORDINATOR_UNREACHABLE, message: `cannot reach a coordinator at ${endpoint.url}: ${cause.message}`, cause });
}

/** Doubling, with half of it random so that many clients do not come back at once. */
function backoff(round: number): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** round);
  return full / 2 + (Math.random() * full) / 2;
}
