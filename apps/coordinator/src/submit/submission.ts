import type { TransactionReader } from '#libs/postgres';
import type { Json, Txid } from '#libs/protocol';
import { type CoordinatorDriver, type Idempotency, type TransactionView, UnavailableError } from '#libs/runtime';
import { ProblemException } from '#libs/service';
import { hasReached, type Until } from '../reads/progress.js';
import type { TransactionLookup } from '../reads/transaction-lookup.js';
import { fingerprint } from './fingerprint.js';
import type { ParticipantDirectory } from './participant-directory.js';
import type { TransactionBody, TransactionBodyReader } from './transaction-body.js';

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

export const OUTCOME_UNKNOWN = 'OUTCOME_UNKNOWN';

/** Takes transactions: checks, begins (durably), waits. */
export class Submission {
  private closed = false;

  constructor(
    private readonly driver: Pick<CoordinatorDriver, 'begin'>,
    private readonly lookup: TransactionLookup,
    private readonly reader: TransactionBodyReader,
    private readonly participants: ParticipantDirectory,
    private readonly defaultTimeoutMs: number,
    private readonly keys: Pick<TransactionReader, 'idempotency'>,
  ) {}

  /**
   * @throws ProblemException for a body that is refused
   * @throws UnavailableError when the transaction cannot be taken now; nothing of it will ever commit
   */
  async submit(raw: unknown, options: SubmitOptions): Promise<Submitted> {
    this.mustAccept();
    const body = this.reader.read(raw, options.bytes);
    const txid = (await this.earlier(body, options.idempotencyKey)) ?? await this.begin(body, options.idempotencyKey);
    const until = body.waitFor ?? 'decided';
    const view = await this.outcome(txid, until, options.waitMs);
    return { view, reached: hasReached(view, until) };
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

  /** Once begun, a transaction may commit: 503 would tell the caller that it never will. */
  private async outcome(txid: Txid, until: Until, waitMs: number): Promise<TransactionView> {
    const view = await this.lookup.wait(txid, until, waitMs).catch((error: unknown) => error as Error);
    if (view !== null && !(view instanceof Error)) return view;
    throw new ProblemException(504, OUTCOME_UNKNOWN, `Transaction ${txid} has begun, but its state cannot be read now; ask for it later.`, [], undefined, { extensions: { id: txid }, cause: view });
  }

  /**
   * The first transaction of the key, when it could not be begun any more (its participant is paused, its operation gone): a
   * repetition gets the first answer whatever has changed since. Asked only before a refusal; otherwise the begin itself finds out.
   * @throws ProblemException when a participant, an operation or a payload is refused
   */
  private async earlier(body: TransactionBody, key: string | null): Promise<Txid | null> {
    try {
      await this.participants.admit(body.branches);
      return null;
    } catch (refusal) {
      const first = key === null ? null : await this.keys.idempotency(key);
      if (first === null) throw refusal;
      if (first.requestHash !== fingerprint(body as unknown as Json)) throw keyReused(first.txid);
      return first.txid;
    }
  }

  private async begin(body: TransactionBody, key: string | null): Promise<Txid> {
    const idempotency: Idempotency | null = key === null ? null : { key, requestHash: fingerprint(body as unknown as Json) };
    const result = await this.driver.begin({
      protocol: body.protocol,
      branches: body.branches,
      timeoutMs: body.timeoutMs ?? this.defaultTimeoutMs,
      waitFor: body.waitFor ?? 'decided',
      metadata: body.metadata ?? null,
      idempotency,
    });
    if (result.kind === 'duplicate' && result.requestHash !== idempotency?.requestHash) {
      throw keyReused(result.txid);
    }
    return result.txid;
  }
}

function keyReused(txid: Txid): ProblemException {
  return new ProblemException(422, 'IDEMPOTENCY_KEY_REUSED', `The idempotency key belongs to transaction ${txid}, which was asked for with another body; use a new key for a new request.`);
}
