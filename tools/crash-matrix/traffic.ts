import { randomUUID } from 'node:crypto';
import { ConcordatClient, ConcordatError, type Result, type TransactionRequest, type UnknownOutcome } from '#libs/client';
import type { Txid } from '#libs/protocol';
import type { Cluster } from '../../test/support/cluster.ts';

const ROUND_MS = 5_000;
const PAUSE_MS = 50;
const GIVE_UP_MS = 60_000;

/** What is asked for, and whether a participant must refuse it. */
export interface Ask {
  readonly request: TransactionRequest;
  readonly refused: boolean;
}

export type Outcome = Exclude<Result['outcome'], 'unknown'>;

/** Clients that do not let go before they know for certain, and what they were told. */
export class Traffic {
  readonly answers = new Map<Txid, Outcome>();
  /** What no client should ever meet. */
  readonly complaints: string[] = [];
  private readonly client: ConcordatClient;
  private pending: Promise<void>[] = [];
  private closed = false;

  constructor(cluster: Cluster, urls: readonly string[]) {
    this.client = new ConcordatClient({ urls, token: cluster.tokens.submit, connectTimeoutMs: 500 });
  }

  ask(asks: readonly Ask[]): void {
    this.pending.push(...asks.map((ask) => this.one(ask)));
  }

  /** False when some client is still without a certain answer after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<boolean> {
    const pending = this.pending;
    const all = Promise.all(pending).then(() => true);
    const inTime = await within(all, timeoutMs, false);
    if (inTime) this.pending = this.pending.filter((one) => !pending.includes(one));
    return inTime;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.client.close();
  }

  private async one({ request, refused }: Ask): Promise<void> {
    const idempotencyKey = randomUUID();
    const deadlineMs = Date.now() + GIVE_UP_MS;
    let unknown: UnknownOutcome | null = null;
    while (!this.closed && Date.now() < deadlineMs) {
      try {
        const result: Result = unknown === null ? await this.client.run(request, { idempotencyKey, waitMs: ROUND_MS }) : await this.client.wait(unknown, { waitMs: ROUND_MS });
        if (result.outcome !== 'unknown') return this.told(result, refused);
        unknown = result;
      } catch (error) {
        if (this.closed) return;
        if (!isTransient(error)) return void this.complaints.push(`a client was refused: ${(error as Error).message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    // Kept open: whoever waits for it finds that there was no answer.
    await new Promise(() => undefined);
  }

  private told(result: Exclude<Result, { outcome: 'unknown' }>, refused: boolean): void {
    const { id, outcome } = result;
    const earlier = this.answers.get(id as Txid);
    if (earlier !== undefined && earlier !== outcome) this.complaints.push(`${id}: told ${earlier}, later ${outcome}`);
    if (refused && ['committed', 'completed'].includes(outcome)) this.complaints.push(`${id}: ${outcome} although a participant had to refuse it`);
    this.answers.set(id as Txid, outcome);
  }
}

/** Nobody was there, or too much was asked of it: certainly not taken, so the same is asked again. */
function isTransient(error: unknown): boolean {
  return error instanceof ConcordatError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

/** What `promise` gives, or `otherwise` when that takes longer than `timeoutMs`. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => { timer = setTimeout(() => resolve(otherwise), timeoutMs); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
