import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkoutRequest } from '../../libs/shop/src/checkout-request.ts';
import type { Cluster } from './cluster.ts';

type Client = InstanceType<typeof import('#libs/client').ConcordatClient>;
type Txid = import('#libs/protocol').Txid;

/** What one client of the load lived through. Times in milliseconds since the epoch. */
interface Call {
  readonly beganAt: number;
  readonly answeredAt: number;
  /** Its first answer was lost, and it asked again under the same key. */
  readonly lost: boolean;
  /** How often nobody took its request: 429, 503, or no connection. */
  readonly refused: number;
  readonly abortCode: string | null;
}

export interface ClientView {
  readonly calls: number;
  readonly slowestMs: number;
  readonly lostAtFirst: number;
  readonly refusedAtFirst: number;
  readonly aborted: Readonly<Record<string, number>>;
}

const PATIENCE_MS = 60_000;

/** Checkouts at a fixed rate whatever the answers, spread over all coordinators by patient clients. */
export class Load {
  readonly answers = new Map<Txid, 'committed' | 'aborted'>();
  private readonly clients: readonly Client[];
  private readonly calls: Call[] = [];
  private readonly underWay = new Set<Promise<void>>();
  private readonly failures: string[] = [];
  private stopped = false;
  private offered = 0;
  private readonly loop: Promise<void>;

  private constructor(clients: readonly Client[], rate: number) {
    this.clients = clients;
    this.loop = this.offer(rate);
  }

  static async start(cluster: Cluster, rate: number): Promise<Load> {
    const { ConcordatClient } = await import('#libs/client');
    // Both ways round, so that requests are spread however clients choose among their coordinators.
    const urls = cluster.coordinators.map(({ url }) => url);
    const clients = [urls, urls.toReversed()].map((each) => new ConcordatClient({ urls: each, token: cluster.submitToken, gather: false }));
    return new Load(clients, rate);
  }

  /** Of the requests that were under way at some moment between the two. */
  view(fromMs: number, toMs: number): ClientView {
    const calls = this.calls.filter(({ beganAt, answeredAt }) => answeredAt >= fromMs && beganAt <= toMs);
    const aborted: Record<string, number> = {};
    for (const { abortCode } of calls) if (abortCode !== null) aborted[abortCode] = (aborted[abortCode] ?? 0) + 1;
    return {
      calls: calls.length,
      slowestMs: Math.max(0, ...calls.map(({ beganAt, answeredAt }) => answeredAt - beganAt)),
      lostAtFirst: calls.filter(({ lost }) => lost).length,
      refusedAtFirst: calls.filter(({ refused }) => refused > 0).length,
      aborted,
    };
  }

  /** Resolves when every client has its answer. @throws Error when one never got any */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.loop;
    await Promise.all(this.underWay);
    await Promise.all(this.clients.map((client) => client.close()));
    if (this.failures.length > 0) throw new Error(`${this.failures.length} clients never got an answer: ${this.failures.slice(0, 3).join('; ')}`);
  }

  private async offer(rate: number): Promise<void> {
    const beganAt = performance.now();
    while (!this.stopped) {
      for (const due = ((performance.now() - beganAt) * rate) / 1000; this.offered < due; this.offered += 1) {
        const call: Promise<void> = this.checkout(this.offered).catch((error: unknown) => { this.failures.push((error as Error).message); }).finally(() => this.underWay.delete(call));
        this.underWay.add(call);
      }
      await sleep(5);
    }
  }

  private async checkout(i: number): Promise<void> {
    const beganAt = Date.now();
    const client = this.clients[i % this.clients.length]!;
    const idempotencyKey = randomUUID();
    let refused = 0;
    let result = await this.untilTaken(client, checkoutRequest('2pc', checkoutOf(i)), idempotencyKey, () => { refused += 1; });
    const lost = result.outcome === 'unknown';
    while (result.outcome === 'unknown') {
      if (Date.now() - beganAt > PATIENCE_MS) throw new Error(`no certain outcome after ${PATIENCE_MS} ms: ${result.cause.message}`);
      result = await client.wait(result, { waitMs: 10_000 });
    }
    this.answers.set(result.id as Txid, result.outcome as 'committed' | 'aborted');
    this.calls.push({ beganAt, answeredAt: Date.now(), lost, refused, abortCode: result.reason?.code ?? null });
  }

  private async untilTaken(client: Client, request: Parameters<Client['run']>[0], idempotencyKey: string, onRefusal: () => void): Promise<Awaited<ReturnType<Client['run']>>> {
    for (const giveUpAt = Date.now() + PATIENCE_MS; ;) {
      try {
        return await client.run(request, { idempotencyKey, waitMs: 10_000 });
      } catch (error) {
        const { status } = error as { status?: number };
        if ((status !== 0 && status !== 429 && status !== 503) || Date.now() > giveUpAt) throw error;
        onRefusal();
        await sleep(50);
      }
    }
  }
}

function checkoutOf(i: number) {
  return { orderId: `o-${randomUUID()}`, customerId: `c-${1 + (i % 5_000)}`, sku: `s-${1 + (i % 5_000)}`, quantity: 1, amountCents: 100 };
}
