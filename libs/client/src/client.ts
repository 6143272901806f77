import { setTimeout as sleep } from 'node:timers/promises';
import { ConcordatError, errorOf } from './errors.js';
import { Exchanger, type ExchangeResult } from './exchange.js';
import { Gatherer, type Item } from './gatherer.js';
import { Endpoint, type HttpCall, LINES_MEDIA_TYPE } from './http.js';
import { certain, isServerFault, itemError, itemsIn, pendingError, transactionIn, untilOf } from './outcome.js';
import { timeOrderedKey } from './time-ordered-key.js';
import type {
  BranchesRequest, BranchesResult, CallOptions, Result, SagaRequest, SagaResult, Submitted, Transaction, TransactionRequest, UnknownOutcome,
} from './types.js';

export interface ClientOptions {
  /** Base URL of one coordinator. */
  readonly url?: string;
  /** Base URLs of several coordinators; any of them takes any request. */
  readonly urls?: readonly string[];
  /** Bearer token with the submit role (read too for `wait` by id), or what gives the current one. */
  readonly token?: string | (() => string);
  /** Largest number of connections to each coordinator; further requests queue. Default 128. */
  readonly connections?: number;
  /** Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** Whether `run` sends what is asked for at nearly the same time (at most 5 ms apart) in one HTTP request. Default true. */
  readonly gather?: boolean;
}

const DEFAULT_WAIT_MS = 10_000;
/** A server that waits until our deadline answers a moment after it. */
const GRACE_MS = 500;
/** Between questions, should a coordinator answer "pending" without having waited. */
const POLL_PAUSE_MS = 100;

/**
 * Runs transactions through Concordat's HTTP API.
 *
 * ```ts
 * const client = new ConcordatClient({ url: 'http://127.0.0.1:3000', token });
 * let result = await client.run({ branches: [
 *   { participant: 'payments', operation: 'debit', payload: { orderId: 'o-1', customerId: 'c-1', amountCents: 1000 } },
 *   { participant: 'inventory', operation: 'reserve', payload: { orderId: 'o-1', sku: 's-1', quantity: 1 } },
 * ] });
 * while (result.outcome === 'unknown') result = await client.wait(result);
 * if (result.outcome === 'aborted') console.log(result.reason?.code);
 * ```
 *
 * The same for a saga, whose outcome is `completed` or `compensated`:
 *
 * ```ts
 * const result = await client.saga({ steps: [
 *   { id: 'reserve', participant: 'inventory', operation: 'reserve', payload: { orderId: 'o-1', sku: 's-1', quantity: 1 } },
 *   { id: 'debit', participant: 'payments', operation: 'debit', kind: 'pivot', payload: { orderId: 'o-1', customerId: 'c-1', amountCents: 1000 } },
 * ] });
 * if (result.outcome === 'unknown' && result.attention !== null) console.log(`a person is needed: ${result.attention.reason.code}`);
 * ```
 *
 * An aborted transaction is a result. A request that was certainly not taken (refused, or no coordinator within reach for the whole
 * `waitMs`) is thrown as a {@link ConcordatError}. What may have been taken is never thrown: it is `unknown`.
 */
export class ConcordatClient {
  private readonly endpoints: readonly Endpoint[];
  private readonly exchanger: Exchanger;
  /** Empty where each call is a request of its own. */
  private readonly gatherers = new Map<Endpoint, Gatherer>();
  private readonly authorization: () => string | null;

  constructor(options: ClientOptions) {
    const urls = options.urls ?? (options.url === undefined ? [] : [options.url]);
    if (urls.length === 0) throw new TypeError('ConcordatClient needs the url of at least one coordinator');
    this.endpoints = urls.map((url) => new Endpoint(url, options.connections ?? 128, options.connectTimeoutMs ?? 2_000));
    this.exchanger = new Exchanger(this.endpoints);
    if (options.gather !== false) for (const endpoint of this.endpoints) this.gatherers.set(endpoint, new Gatherer(endpoint, (remainingMs, body) => this.batchCall(remainingMs, body, LINES_MEDIA_TYPE)));
    const { token } = options;
    const fixed = typeof token === 'string' ? `Bearer ${token}` : null;
    this.authorization = typeof token === 'function' ? () => `Bearer ${token()}` : () => fixed;
  }

  /**
   * Starts the transaction and waits for its decision (of a saga: for its end, unless the request says otherwise), longer than one
   * question to a coordinator waits if `waitMs` does. A lost answer is not hidden by repeating the request: it is `unknown` at once,
   * and `wait` repeats it when the caller wants to know.
   * @throws ConcordatError if the request was certainly not taken
   */
  run(request: SagaRequest, options?: CallOptions): Promise<SagaResult>;
  run(request: BranchesRequest, options?: CallOptions): Promise<BranchesResult>;
  run(request: TransactionRequest, options?: CallOptions): Promise<Result>;
  run(request: TransactionRequest, options: CallOptions = {}): Promise<Result> {
    const idempotencyKey = options.idempotencyKey ?? timeOrderedKey();
    return this.ask(request, idempotencyKey, performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS), 'first');
  }

  /** `run` of a saga, for whom the name says more. @throws ConcordatError if the request was certainly not taken */
  saga(request: SagaRequest, options: CallOptions = {}): Promise<SagaResult> {
    return this.run({ ...request, protocol: 'saga' }, options);
  }

  /**
   * Starts the transaction without waiting for its decision. Repeats itself, with the same key, where an answer is lost.
   * @throws ConcordatError if the request was not taken, or with `ANSWER_LOST` if that could not be learnt in time: submit it again with the same key
   */
  async submit(request: TransactionRequest, options: CallOptions = {}): Promise<Submitted> {
    const idempotencyKey = options.idempotencyKey ?? timeOrderedKey();
    const deadlineMs = performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS);
    const call = this.post(bodyText(request), idempotencyKey);
    for (let lost: ConcordatError | null = null; ;) {
      const result = await this.exchanger.exchange(() => call('respond-async'), deadlineMs, 0);
      if (result.kind === 'answer' && !isServerFault(result.answer.status)) {
        // A refusal of the repetition (an expired token) says nothing of the first attempt.
        if (lost !== null && result.answer.status >= 300) throw lost;
        return { id: transactionIn(result.answer).id, idempotencyKey };
      }
      if (result.kind === 'refused') throw lost ?? result.error;
      lost = lostError(result);
      if (performance.now() + POLL_PAUSE_MS >= deadlineMs) throw lost;
      await sleep(POLL_PAUSE_MS);
    }
  }

  /**
   * Makes an unknown outcome certain. With a request and its key at hand the same request is sent again under the same key: if the
   * first one arrived, this joins its transaction; if it never did, this runs it, which is what was asked for. By id alone it asks and
   * waits (needs the read role). Remains `unknown` only if `waitMs` was not enough.
   * @throws ConcordatError if the coordinator refuses the question itself, which says nothing about the transaction
   */
  wait(target: UnknownOutcome<SagaRequest>, options?: Pick<CallOptions, 'waitMs'>): Promise<SagaResult>;
  wait(target: UnknownOutcome<BranchesRequest>, options?: Pick<CallOptions, 'waitMs'>): Promise<BranchesResult>;
  wait(target: UnknownOutcome | string, options?: Pick<CallOptions, 'waitMs'>): Promise<Result>;
  async wait(target: UnknownOutcome | string, options: Pick<CallOptions, 'waitMs'> = {}): Promise<Result> {
    const deadlineMs = performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS);
    if (typeof target !== 'string' && target.request !== null && target.idempotencyKey !== null) {
      return this.ask(target.request, target.idempotencyKey, deadlineMs, 'again', target.id);
    }
    const id = typeof target === 'string' ? target : target.id;
    if (id === null) throw new TypeError('this unknown outcome holds neither a request with its key nor an id');
    return this.look(id, deadlineMs);
  }

  /**
   * Many transactions in one HTTP request (the coordinator takes up to 1,000): results in the order asked, a refused one as a
   * ConcordatError in its place, `unknown` where the coordinator cannot tell, and every one `unknown` if the answer was lost.
   * @param options.idempotencyKey prefix of the items' keys, which are `<prefix>:<place>`
   * @throws ConcordatError if the batch as a whole was certainly not taken
   */
  async batch(requests: readonly TransactionRequest[], options: CallOptions = {}): Promise<readonly (Result | ConcordatError)[]> {
    const prefix = options.idempotencyKey ?? timeOrderedKey();
    const items = requests.map((request, i) => ({ ...withProtocol(request), idempotencyKey: `${prefix}:${i}` }));
    const body = JSON.stringify({ transactions: items });
    const result = await this.exchanger.exchange((remainingMs) => this.batchCall(remainingMs, body, 'application/json'), performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS), GRACE_MS);
    if (result.kind === 'refused') throw result.error;
    const unknown = (i: number, cause: ConcordatError, transaction: Transaction | null = null): UnknownOutcome =>
      ({ ...told(transaction), outcome: 'unknown', idempotencyKey: `${prefix}:${i}`, request: requests[i]!, cause });
    if (result.kind === 'lost' || isServerFault(result.answer.status)) return requests.map((_, i) => unknown(i, lostError(result)));
    return itemsIn(result.answer, requests.length).map((item, i) => {
      if (typeof item.status === 'number') return isServerFault(item.status) ? unknown(i, itemError(item)) : itemError(item);
      const transaction = item as unknown as Transaction;
      return certain(transaction, untilOf(transaction, requests[i]!)) ?? unknown(i, pendingError(transaction), transaction);
    });
  }

  /** Ends all connections; calls that are under way end as lost. */
  async close(): Promise<void> {
    await Promise.all(this.endpoints.map((endpoint) => endpoint.close()));
  }

  private async ask(request: TransactionRequest, idempotencyKey: string, deadlineMs: number, time: 'first' | 'again', knownId: string | null = null): Promise<Result> {
    const send = this.sender(request, idempotencyKey);
    const mayThrow = time === 'again';
    let last: Pick<UnknownOutcome, 'id' | 'attention'> = { id: knownId, attention: null };
    const unknown = (cause: ConcordatError): UnknownOutcome => ({ ...last, outcome: 'unknown', idempotencyKey, request, cause });
    for (;;) {
      const askedAtMs = performance.now();
      const result = await send(deadlineMs);
      if (result.kind !== 'answer' || isServerFault(result.answer.status)) {
        // Once a request may have been taken, "certainly not taken" of a later one proves nothing.
        if (result.kind === 'refused' && time === 'first') throw result.error;
        const giveUp = result.kind === 'refused' || time === 'first' || performance.now() + POLL_PAUSE_MS >= deadlineMs;
        if (giveUp) return unknown(lostError(result));
        await sleep(POLL_PAUSE_MS);
        continue;
      }
      // It was taken before: that a repetition is refused (an expired token) is not its outcome. `wait` alone may say so by an error.
      if (time === 'again' && !mayThrow && result.answer.status >= 300) return unknown(errorOf(result.answer));
      const transaction = transactionIn(result.answer);
      const outcome = certain(transaction, untilOf(transaction, request), result.answer);
      if (outcome !== null) return outcome;
      last = told(transaction);
      time = 'again';
      if (await this.tooLate(askedAtMs, deadlineMs)) return unknown(pendingError(transaction));
    }
  }

  private async look(id: string, deadlineMs: number): Promise<Result> {
    let last: Pick<UnknownOutcome, 'id' | 'attention'> = { id, attention: null };
    for (;;) {
      const askedAtMs = performance.now();
      const result = await this.exchanger.exchange((remainingMs) => ({
        method: 'GET', path: `/v1/transactions/${encodeURIComponent(id)}?wait=${waitSeconds(remainingMs)}`, headers: this.headers({}), body: null,
      }), deadlineMs, GRACE_MS);
      let cause: ConcordatError;
      if (result.kind === 'answer' && !isServerFault(result.answer.status)) {
        const transaction = transactionIn(result.answer);
        const outcome = certain(transaction, untilOf(transaction), result.answer);
        if (outcome !== null) return outcome;
        last = told(transaction);
        cause = pendingError(transaction);
      } else {
        cause = lostError(result);
      }
      if (await this.tooLate(askedAtMs, deadlineMs)) return { ...last, outcome: 'unknown', idempotencyKey: null, request: null, cause };
    }
  }

  /** Whether the time is up; if not, pauses unless the last question itself took its time. */
  private async tooLate(askedAtMs: number, deadlineMs: number): Promise<boolean> {
    if (performance.now() - askedAtMs < POLL_PAUSE_MS) await sleep(POLL_PAUSE_MS);
    return performance.now() >= deadlineMs;
  }

  /** Serializes once, for all attempts. */
  private sender(request: TransactionRequest, idempotencyKey: string): (deadlineMs: number) => Promise<ExchangeResult> {
    const body = bodyText(request);
    const post = this.post(body, idempotencyKey);
    const single = (remainingMs: number): HttpCall => post(preferWait(remainingMs));
    if (this.gatherers.size === 0 || !isPlain(request, body)) return (deadlineMs) => this.exchanger.exchange(single, deadlineMs, GRACE_MS);
    const item: Item = { single, text: `${body.slice(0, -1)},"idempotencyKey":${JSON.stringify(idempotencyKey)}}` };
    return (deadlineMs) => this.exchanger.exchangeBy((endpoint, remainingMs) => this.gatherers.get(endpoint)!.attempt(item, remainingMs, GRACE_MS), deadlineMs);
  }

  private post(body: string, idempotencyKey: string): (prefer: string) => HttpCall {
    return (prefer) => ({ method: 'POST', path: '/v1/transactions', headers: this.headers({ 'content-type': 'application/json', 'idempotency-key': idempotencyKey, prefer }), body });
  }

  private batchCall(remainingMs: number, body: string, accept: string): HttpCall {
    return { method: 'POST', path: '/v1/transactions:batch', headers: this.headers({ 'content-type': 'application/json', accept, prefer: preferWait(remainingMs) }), body };
  }

  private headers(headers: Record<string, string>): Record<string, string> {
    const authorization = this.authorization();
    if (authorization !== null) headers.authorization = authorization;
    return headers;
  }
}

/** Where nothing is said, what it is to do says it. */
function withProtocol(request: TransactionRequest): TransactionRequest {
  return request.protocol === undefined ? { protocol: 'steps' in request ? 'saga' : '2pc', ...request } as TransactionRequest : request;
}

function bodyText(request: TransactionRequest): string {
  return JSON.stringify(withProtocol(request));
}

/** What an answer that is not the last word has told. */
function told(transaction: Transaction | null): Pick<UnknownOutcome, 'id' | 'attention'> {
  return { id: transaction?.id ?? null, attention: transaction?.status === 'needs-attention' ? transaction.attention : null };
}

/** Whether a key can be written into the text. What the types do not allow is left for the coordinator to refuse, in a request of its own. */
function isPlain(request: TransactionRequest, body: string): boolean {
  return body.startsWith('{"') && !('idempotencyKey' in request);
}

function preferWait(remainingMs: number): string {
  return `wait=${waitSeconds(remainingMs)}`;
}

/** Whole seconds (RFC 7240 section 4.3), rounded down so that the answer comes before the caller's time is up. */
function waitSeconds(remainingMs: number): number {
  return Math.max(1, Math.floor(remainingMs / 1000));
}

function lostError(result: ExchangeResult): ConcordatError {
  return result.kind === 'answer' ? errorOf(result.answer) : result.error;
}
