// Requests as they come: nothing is retried, nothing gathered, every answer counts as it is.
import { Pool } from 'undici';
import { Histogram, type LatencySummary } from '../../apps/loadtest/src/histogram.ts';
import { runOpenLoop } from '../../apps/loadtest/src/open-loop.ts';

/** How one request ended: an outcome, `pending` (202), `refused` (429, 503), `failed` (any other status), `lost` (no answer). */
export interface HttpEnding {
  readonly kind: 'outcome' | 'pending' | 'refused' | 'failed' | 'lost';
  /** committed, aborted, ...; else the status, or the error. */
  readonly what: string;
  readonly txid: string | null;
  readonly reason: string | null;
}

export interface PhaseResult {
  readonly name: string;
  readonly offeredPerSecond: number;
  readonly seconds: number;
  /** By kind. */
  readonly endings: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  /** Outcomes a second, of the phase's requests, whenever they came. */
  readonly achievedPerSecond: number;
  /** From the intended start to the outcome, of what got one. */
  readonly latency: LatencySummary;
  /** Outcomes, and refusals, in each second since the phase began; by when they came. */
  readonly outcomesBySecond: readonly number[];
  readonly refusedBySecond: readonly number[];
  readonly p99BySecond: readonly (number | null)[];
  readonly latestStartMs: number;
}

const COMMIT_WORDS = new Set(['committed', 'aborted', 'completed', 'compensated']);
const MAX_OUTSTANDING = 20_000;
const GIVE_UP_MS = 30_000;

export class HttpLoad {
  /** What clients were told, by txid. */
  readonly answers = new Map<string, string>();
  private readonly pools: readonly Pool[];
  private readonly token: string;
  private turn = 0;

  constructor(urls: readonly string[], token: string) {
    this.pools = urls.map((url) => new Pool(url, { connections: 4_096, headersTimeout: GIVE_UP_MS, bodyTimeout: GIVE_UP_MS, connect: { timeout: 5_000 } }));
    this.token = token;
  }

  async send(body: unknown): Promise<HttpEnding> {
    this.turn = (this.turn + 1) % this.pools.length;
    try {
      const response = await this.pools[this.turn]!.request({
        method: 'POST', path: '/v1/transactions', headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', prefer: 'wait=15' }, body: JSON.stringify(body),
      });
      const answer = (await response.body.json()) as { id?: string; status?: string | number; code?: string; reason?: { code?: string } | null };
      if (response.statusCode === 429 || response.statusCode === 503) return { kind: 'refused', what: String(response.statusCode), txid: null, reason: answer.code ?? null };
      if (response.statusCode >= 300) return { kind: 'failed', what: String(response.statusCode), txid: null, reason: answer.code ?? null };
      const outcome = String(answer.status);
      if (!COMMIT_WORDS.has(outcome)) return { kind: 'pending', what: outcome, txid: answer.id ?? null, reason: null };
      this.answers.set(answer.id!, outcome);
      return { kind: 'outcome', what: outcome, txid: answer.id!, reason: answer.reason?.code ?? null };
    } catch (error) {
      return { kind: 'lost', what: (error as NodeJS.ErrnoException).code ?? (error as Error).message, txid: null, reason: null };
    }
  }

  /** Outcomes a second of `clients` that each send their next request when the last one is answered. */
  async capacity(clients: number, seconds: number, next: () => unknown, signal: AbortSignal): Promise<number> {
    const warmUpMs = 3_000;
    const start = performance.now();
    const endAt = start + warmUpMs + seconds * 1000;
    let count = 0;
    await Promise.all(Array.from({ length: clients }, async () => {
      while (performance.now() < endAt && !signal.aborted) {
        const { kind } = await this.send(next());
        const now = performance.now();
        if (kind === 'outcome' && now >= start + warmUpMs && now < endAt) count++;
      }
    }));
    return count / seconds;
  }

  /** Offers requests at a constant rate, and waits for the last answers. */
  async phase(name: string, offeredPerSecond: number, seconds: number, next: () => unknown, signal: AbortSignal): Promise<PhaseResult> {
    const counts = { endings: {} as Record<string, number>, statuses: {} as Record<string, number>, reasons: {} as Record<string, number> };
    const add = (record: Record<string, number>, key: string): void => { record[key] = (record[key] ?? 0) + 1; };
    const latency = new Histogram();
    const bins: { outcomes: number; refused: number; latency: Histogram }[] = [];
    const bin = (atMs: number): (typeof bins)[number] => {
      const index = Math.floor(atMs / 1000);
      while (bins.length <= index) bins.push({ outcomes: 0, refused: 0, latency: new Histogram() });
      return bins[index]!;
    };
    const start = performance.now();
    const result = await runOpenLoop({
      ratePerSecond: offeredPerSecond, seconds, maxOutstanding: MAX_OUTSTANDING, signal,
      attempt: async ({ intendedMs }) => {
        const ending = await this.send(next());
        const atMs = performance.now() - start;
        add(counts.endings, ending.kind);
        add(counts.statuses, ending.what);
        if (ending.reason !== null) add(counts.reasons, ending.reason);
        if (ending.kind === 'refused') bin(atMs).refused++;
        if (ending.kind !== 'outcome') return;
        latency.record(atMs - intendedMs);
        bin(atMs).outcomes++;
        bin(atMs).latency.record(atMs - intendedMs);
      },
    });
    await result.settled;
    if (result.shed > 0) counts.endings.shed = result.shed;
    return {
      name, offeredPerSecond, seconds, ...counts, achievedPerSecond: (counts.endings.outcome ?? 0) / seconds, latency: latency.summary(),
      outcomesBySecond: bins.map((b) => b.outcomes), refusedBySecond: bins.map((b) => b.refused), p99BySecond: bins.map((b) => (b.latency.count === 0 ? null : b.latency.at(0.99))), latestStartMs: result.latestStartMs,
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.destroy()));
  }
}
