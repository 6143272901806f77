// Requests as they come: nothing is retried, nothing gathered, every answer counts as it is.
import { type HttpAnswer, HttpConnections, type NoAnswerError } from '../../apps/loadtest/src/http-connections.ts';
import { Latencies, type LatencySummary } from '../../apps/loadtest/src/latency.ts';
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
const CONNECTIONS = 4_096;

export class HttpLoad {
  /** What clients were told, by txid. */
  readonly answers = new Map<string, string>();
  private readonly pools: readonly HttpConnections[];
  private readonly token: string;
  private turn = 0;

  constructor(urls: readonly string[], token: string) {
    this.pools = urls.map((url) => new HttpConnections(url, CONNECTIONS));
    this.token = token;
  }

  async send(body: unknown): Promise<HttpEnding> {
    this.turn = (this.turn + 1) % this.pools.length;
    try {
      return this.endingOf(await this.pools[this.turn]!.post('/v1/transactions', { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', prefer: 'wait=15' }, JSON.stringify(body)));
    } catch (error) {
      return { kind: 'lost', what: (error as NoAnswerError).code ?? (error as Error).message, txid: null, reason: null };
    }
  }

  private endingOf({ status, text }: HttpAnswer): HttpEnding {
    if (status >= 300) return { kind: status === 429 || status === 503 ? 'refused' : 'failed', what: String(status), txid: null, reason: /"code":"(\w+)"/.exec(text)?.[1] ?? null };
    const answer = JSON.parse(text) as { id: string; status: string; reason?: { code?: string } | null };
    if (!COMMIT_WORDS.has(answer.status)) return { kind: 'pending', what: answer.status, txid: answer.id, reason: null };
    this.answers.set(answer.id, answer.status);
    return { kind: 'outcome', what: answer.status, txid: answer.id, reason: answer.reason?.code ?? null };
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
    const latency = new Latencies();
    const bins: { outcomes: number; refused: number; latency: Latencies }[] = [];
    const bin = (atMs: number): (typeof bins)[number] => {
      const index = Math.floor(atMs / 1000);
      while (bins.length <= index) bins.push({ outcomes: 0, refused: 0, latency: new Latencies() });
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
    await Promise.all(this.pools.map((pool) => pool.close()));
  }
}
