import { hash } from 'node:crypto';
import type { Acceptors, Json, SagaStepSpec, Txid } from '#libs/protocol';
import { type BeginRequest, type BeginResult, type CoordinatorDriver, GIVEN_UP, type Idempotency, type TransactionView, UnavailableError } from '#libs/runtime';
import { ProblemException } from '#libs/service';
import type { BodyLimits } from '../config.js';
import { defaultUntil, hasReached, type Until } from '../reads/progress.js';
import type { TransactionLookup } from '../reads/transaction-lookup.js';
import { fingerprint } from './fingerprint.js';
import type { KeyHolder, KeyLookup } from './key-lookup.js';
import type { ParticipantDirectory } from './participant-directory.js';
import { sagaSteps } from './saga-steps.js';
import type { BranchesBody, SagaBody, TransactionBody, TransactionBodyReader } from './transaction-body.js';

export interface SubmitOptions {
  /** Length of the JSON text the body came in. */
  readonly bytes: number;
  readonly idempotencyKey: string | null;
  readonly waitMs: number;
}

export interface Submitted {
  readonly view: TransactionView;
  /** Whether it got as far as the request's `waitFor` asks. */
  readonly reached: boolean;
}

export interface SubmissionDeps {
  readonly driver: Pick<CoordinatorDriver, 'begin'>;
  readonly lookup: Pick<TransactionLookup, 'wait'>;
  readonly reader: TransactionBodyReader;
  readonly participants: Pick<ParticipantDirectory, 'admit'>;
  readonly keys: Pick<KeyLookup, 'find'>;
  readonly limits: BodyLimits;
  readonly acceptors: Acceptors;
}

/** A body with everything that was checked and filled in. */
type Request =
  | { readonly body: BranchesBody; readonly until: Until }
  | { readonly body: SagaBody; readonly until: Until; readonly steps: readonly SagaStepSpec[] };

export const OUTCOME_UNKNOWN = 'OUTCOME_UNKNOWN';

/** How often a key may have gone to a transaction whose caller had given it up. */
const MAX_GIVEN_UP = 8;

/** Takes transactions: checks, begins (durably), waits. */
export class Submission {
  private closed = false;

  constructor(private readonly deps: SubmissionDeps) {}

  /**
   * @throws ProblemException for a body that is refused
   * @throws UnavailableError when the transaction cannot be taken now; nothing of it will ever commit
   */
  async submit(raw: unknown, { bytes, idempotencyKey, waitMs }: SubmitOptions): Promise<Submitted> {
    this.mustAccept();
    const deadlineMs = performance.now() + waitMs;
    const request = this.read(raw, bytes);
    let key = idempotencyKey === null ? null : idempotencyFor(request.body, idempotencyKey);
    for (let attempt = 0; ; attempt++) {
      const taken = await this.take(request, key);
      const repeated = taken.kind === 'duplicate';
      if (repeated) mustBeSame(taken, key!);
      const view = await this.outcome(taken.txid, request.until, Math.max(0, deadlineMs - performance.now()));
      if (key === null || !repeated || !wasGivenUp(view) || attempt === MAX_GIVEN_UP) return { view, reached: hasReached(view, request.until) };
      key = successorOf(key, taken.txid);
    }
  }

  get accepting(): boolean {
    return !this.closed;
  }

  /** @throws UnavailableError once this instance is stopping */
  mustAccept(): void {
    if (this.closed) throw new UnavailableError('SHUTTING_DOWN', 'This instance is stopping; ask another one, or again in a moment.', 1_000);
  }

  /** From now on takes nothing. */
  close(): void {
    this.closed = true;
  }

  private read(raw: unknown, bytes: number): Request {
    const { reader, limits } = this.deps;
    const body: TransactionBody = reader.read(raw, bytes);
    const until = body.waitFor ?? defaultUntil(body.protocol);
    return body.protocol === 'saga' ? { body, until, steps: sagaSteps(body, limits.saga) } : { body, until };
  }

  /**
   * Begins the transaction, or finds the first one of its key: a repetition gets the first answer whatever has changed since, also
   * when it could not be begun any more (its participant is paused, its operation gone, this instance has too much to do).
   * @throws ProblemException when a participant, an operation or a payload is refused
   */
  private async take(request: Request, key: Idempotency | null): Promise<BeginResult> {
    try {
      await this.admit(request);
      return await this.deps.driver.begin(this.beginRequest(request, key));
    } catch (refusal) {
      if (key === null) throw refusal;
      // When the keys cannot be read either, the refusal is the better answer.
      const first = await this.deps.keys.find(key.key).catch(() => null);
      if (first === null) throw refusal;
      return { kind: 'duplicate', ...first };
    }
  }

  private admit(request: Request): Promise<void> {
    const { participants, acceptors } = this.deps;
    if ('steps' in request) return participants.admit('steps', request.steps);
    const { protocol, branches } = request.body;
    // One branch is its participant's own decision, whatever the protocol.
    return participants.admit('branches', branches, protocol === 'paxos-commit' && branches.length > 1 ? acceptors : []);
  }

  private beginRequest(request: Request, idempotency: Idempotency | null): BeginRequest {
    const { limits } = this.deps;
    const { body, until } = request;
    const metadata = body.metadata ?? null;
    if (!('steps' in request)) {
      const { protocol, branches } = request.body;
      return { protocol, branches, timeoutMs: body.timeoutMs ?? limits.defaultTimeoutMs, waitFor: until, metadata, idempotency };
    }
    const { saga } = limits;
    return {
      protocol: 'saga', steps: request.steps, waitFor: until, metadata, idempotency,
      timeoutMs: body.timeoutMs ?? saga.timeoutMs,
      compensationTimeoutMs: request.body.compensationTimeoutMs ?? saga.compensationTimeoutMs,
      attentionAfterAttempts: request.body.attentionAfterAttempts ?? saga.attentionAfterAttempts,
    };
  }

  /** Once begun, a transaction may commit: 503 would tell the caller that it never will. */
  private async outcome(txid: Txid, until: Until, waitMs: number): Promise<TransactionView> {
    let cause: unknown = null;
    try {
      const view = await this.deps.lookup.wait(txid, until, waitMs);
      if (view !== null) return view;
    } catch (error) {
      cause = error;
    }
    throw new ProblemException(504, OUTCOME_UNKNOWN, `Transaction ${txid} has begun, but its state cannot be read now; ask for it later.`, [], undefined, { extensions: { id: txid }, cause });
  }
}

function idempotencyFor(body: TransactionBody, key: string): Idempotency {
  return { key, requestHash: fingerprint(body as unknown as Json) };
}

/**
 * Whoever submitted it was told that it had not been taken (503, come back); then it was written down after all, with its key, and
 * aborted before anything of it had left. The repetition that the 503 asks for must not be answered with that abort.
 */
function wasGivenUp({ reason }: TransactionView): boolean {
  return reason !== null && reason.code === GIVEN_UP.code && reason.detail === GIVEN_UP.detail;
}

/** The key under which the repetition of a given-up transaction runs: the same for whoever repeats it, so that it still runs once. */
function successorOf({ key, requestHash }: Idempotency, givenUp: Txid): Idempotency {
  return { key: `after/${givenUp}/${hash('sha256', key, 'hex')}`, requestHash };
}

const KEY_REUSED = 'IDEMPOTENCY_KEY_REUSED';

/** @throws ProblemException when the key belongs to another request */
function mustBeSame(first: KeyHolder, key: Idempotency): void {
  if (first.requestHash === key.requestHash) return;
  throw new ProblemException(422, KEY_REUSED, `The idempotency key belongs to transaction ${first.txid}, which was asked for with another body; use a new key for a new request.`);
}
