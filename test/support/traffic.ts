import { randomUUID } from 'node:crypto';
import { ConcordatClient, ConcordatError, type Result, type TransactionRequest } from '#libs/client';
import type { TransactionOutcome, Txid } from '#libs/protocol';
import { checkoutRequest } from './checkout.js';
import type { Cluster } from './cluster.js';

export interface TrafficReport {
  /** What clients were told, by txid. */
  readonly answers: ReadonlyMap<Txid, TransactionOutcome>;
  /** Of the checkouts that must be refused by a participant: any that was committed. */
  readonly wronglyCommitted: readonly string[];
  readonly committed: number;
  readonly aborted: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** Answers that were lost at first and became certain by waiting. */
  readonly lostAtFirst: number;
}

/**
 * `count` checkouts, all at once, every tenth of which a participant must refuse. Clients whose answer was lost wait until they
 * are certain, as a caller of the SDK would.
 * @param onAnswer called after each answer with the number of answers so far; what it throws ends the traffic
 */
export async function runCheckouts(cluster: Cluster, count: number, onAnswer: (answered: number) => void = () => undefined): Promise<TrafficReport> {
  // Half of them share requests, half have one each: a kill meets both kinds.
  const clients = [true, false].map((gather) => new ConcordatClient({ urls: cluster.coordinators.map((c) => c.url), token: cluster.tokens.submit, gather }));
  const answers = new Map<Txid, TransactionOutcome>();
  const reasons: Record<string, number> = {};
  const wronglyCommitted: string[] = [];
  let lostAtFirst = 0;

  const one = async (i: number): Promise<void> => {
    const refused = i % 10 === 0;
    const customerId = `c-${1 + (i % 5000)}`;
    const request = checkoutRequest(refused ? { customerId, ...(i % 20 === 0 ? { amountCents: 2_000_000 } : { sku: 's-none' }) } : { customerId, sku: `s-${1 + (i % 500)}` });
    const client = clients[Math.floor(i / 3) % 2]!;
    let result = await runUntilTaken(client, request);
    if (result.outcome === 'unknown') lostAtFirst++;
    while (result.outcome === 'unknown') result = await client.wait(result, { waitMs: 30_000 });
    answers.set(result.id as Txid, result.outcome);
    if (refused && result.outcome === 'committed') wronglyCommitted.push(result.id);
    if (result.outcome === 'aborted') reasons[result.reason?.code ?? 'none'] = (reasons[result.reason?.code ?? 'none'] ?? 0) + 1;
    onAnswer(answers.size);
  };
  try {
    await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
  const committed = [...answers.values()].filter((a) => a === 'committed').length;
  return { answers, wronglyCommitted, committed, aborted: answers.size - committed, reasons, lostAtFirst };
}

/** As a patient caller: a request that was certainly not taken (429, 503, nobody there) is sent again, under the same key. */
async function runUntilTaken(client: ConcordatClient, request: TransactionRequest): Promise<Result> {
  const idempotencyKey = randomUUID();
  const giveUpAtMs = Date.now() + 120_000;
  for (;;) {
    try {
      return await client.run(request, { idempotencyKey, waitMs: 10_000 });
    } catch (error) {
      const transient = error instanceof ConcordatError && (error.status === 0 || error.status === 429 || error.status === 503);
      if (!transient || Date.now() > giveUpAtMs) throw error;
    }
  }
}

/** A promise per milestone: resolves when that many answers have arrived. */
export function milestones(marks: readonly number[]): { at: readonly Promise<void>[]; reached(answered: number): void } {
  const waiting = marks.map((mark) => {
    let resolve!: () => void;
    const promise = new Promise<void>((r) => { resolve = r; });
    return { mark, promise, resolve };
  });
  return { at: waiting.map((w) => w.promise), reached: (answered) => { for (const w of waiting) if (answered >= w.mark) w.resolve(); } };
}
