// The clients of a chaos run, and what they were told.
import { setTimeout as sleep } from 'node:timers/promises';
import { ConcordatClient, ConcordatError, type Result, type TransactionRequest, type UnknownOutcome } from '#libs/client';
import { Latencies } from '../../apps/loadtest/src/latency.ts';
import { type Arrival, runOpenLoop } from '../../apps/loadtest/src/open-loop.ts';
import { mustBeRefused, type PlannedRequest } from './requests.ts';
import { Series } from './series.ts';

/** How long a client waits for its answer before it counts it as unknown and asks again. */
const PATIENCE_MS = 8_000;
const MAX_OUTSTANDING = 5_000;

/** What one client knows of its request in the end. */
export interface Told {
  readonly request: PlannedRequest;
  readonly txid: string | null;
  /** committed, aborted, completed, compensated; `not-taken` with a code; `unknown` if it never became certain. */
  readonly outcome: string;
  readonly code: string | null;
  /** The first answer was lost, and it became certain by asking again. */
  readonly followedUp: boolean;
  readonly intendedMs: number;
  readonly answeredMs: number;
}

export interface TrafficTotals {
  readonly offered: number;
  readonly shed: number;
  /** By protocol, then by outcome. */
  readonly told: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly reasons: Readonly<Record<string, number>>;
  readonly followedUp: number;
  readonly outstanding: number;
}

export interface TrafficOptions {
  readonly urls: readonly string[];
  readonly token: string;
  readonly requests: (n: number) => PlannedRequest;
  /** Milliseconds since the start of the load. */
  readonly now: () => number;
}

export class Traffic {
  readonly series = new Series();
  /** From the intended start to the certain answer; of those that needed no second question. */
  readonly latency = new Latencies();
  readonly told: Told[] = [];
  /** Things that no client may be told: two answers to one key, a commit of what must be refused, a refusal that makes no sense. */
  readonly contradictions: { readonly txid: string | null; readonly what: string }[] = [];
  private readonly options: TrafficOptions;
  /** Both with gathering and without; the last ones know one coordinator each. */
  private readonly clients: readonly ConcordatClient[];
  private readonly single: readonly ConcordatClient[];
  private readonly counts: Record<string, Record<string, number>> = {};
  private readonly reasons: Record<string, number> = {};
  private giveUpAtMs = Number.POSITIVE_INFINITY;
  private offered = 0;
  private shed = 0;
  private followedUp = 0;
  private open = 0;

  constructor(options: TrafficOptions) {
    this.options = options;
    const { urls, token } = options;
    this.clients = [true, false].map((gather) => new ConcordatClient({ urls, token, gather }));
    this.single = urls.map((url) => new ConcordatClient({ url, token, gather: false }));
  }

  /** Offers requests for so long; resolves when the last has been offered, not when it is answered. */
  async offer(ratePerSecond: number, seconds: number, signal: AbortSignal): Promise<void> {
    const { shed } = await runOpenLoop({
      ratePerSecond, seconds, signal, maxOutstanding: MAX_OUTSTANDING,
      attempt: (arrival) => this.attempt(arrival),
      onShed: () => { this.shed++; },
    });
    this.shed = shed;
  }

  /** Resolves when every client knows how its transaction ended, or has given up after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    this.giveUpAtMs = this.options.now() + limitMs;
    while (this.open > 0 && this.options.now() < this.giveUpAtMs + 15_000) await sleep(50);
  }

  totals(): TrafficTotals {
    return { offered: this.offered, shed: this.shed, told: this.counts, reasons: this.reasons, followedUp: this.followedUp, outstanding: this.open };
  }

  async close(): Promise<void> {
    await Promise.all([...this.clients, ...this.single].map((client) => client.close()));
  }

  private async attempt({ n, intendedMs }: Arrival): Promise<void> {
    const request = this.options.requests(n);
    this.offered++;
    this.open++;
    this.series.offered(intendedMs);
    try {
      if (request.manner === 'once' || this.single.length < 2) this.note(await this.ask(this.clients[n % 2]!, request, intendedMs));
      else this.noteTwins(await Promise.all(this.single.slice(0, 2).map((client) => this.ask(client, request, intendedMs))));
    } finally {
      this.open--;
    }
  }

  private async ask(client: ConcordatClient, request: PlannedRequest, intendedMs: number): Promise<Told> {
    const told = (outcome: string, txid: string | null, code: string | null, followedUp: boolean): Told => ({ request, txid, outcome, code, followedUp, intendedMs, answeredMs: this.options.now() });
    let result: Result;
    try {
      result = await client.run(request.body as TransactionRequest, { idempotencyKey: request.key, waitMs: PATIENCE_MS });
    } catch (error) {
      const { status, code } = error instanceof ConcordatError ? error : { status: -1, code: (error as Error).message };
      if (status !== 0 && status !== 429 && status !== 503) this.contradictions.push({ txid: null, what: `request ${request.n} (${request.wish}, ${request.protocol}) met ${status} ${code}: ${(error as Error).message}` });
      return told('not-taken', null, code, false);
    }
    if (result.outcome !== 'unknown') return told(result.outcome, result.id, result.reason?.code ?? null, false);
    this.series.ended(this.options.now(), 'unknown', null);
    const certain = await this.followUp(client, result);
    return certain === null ? told('unknown', result.id, result.cause.code, true) : told(certain.outcome, certain.id, certain.reason?.code ?? null, true);
  }

  /** Asks until it is certain, as the client's documentation says. */
  private async followUp(client: ConcordatClient, first: UnknownOutcome): Promise<Exclude<Result, UnknownOutcome> | null> {
    let result: Result = first;
    while (this.options.now() < this.giveUpAtMs) {
      try {
        result = await client.wait(result as UnknownOutcome, { waitMs: PATIENCE_MS });
        if (result.outcome !== 'unknown') return result;
      } catch {
        // The question was refused, which says nothing of the transaction.
      }
      await sleep(100);
    }
    return null;
  }

  private noteTwins([one, other]: readonly Told[]): void {
    if (isCertain(one!) && isCertain(other!) && (one.txid !== other.txid || one.outcome !== other.outcome)) {
      this.contradictions.push({ txid: one.txid, what: `key ${one.request.key}: told ${one.txid} ${one.outcome} by one coordinator and ${other.txid} ${other.outcome} by the other` });
    }
    // Of one that was not taken and one that was, the latter counts: they are one transaction.
    this.note(isCertain(other!) && !isCertain(one!) ? other : one!);
  }

  private note(told: Told): void {
    const { request, outcome, code, followedUp } = told;
    this.told.push(told);
    const byOutcome = (this.counts[request.protocol] ??= {});
    byOutcome[outcome] = (byOutcome[outcome] ?? 0) + 1;
    if (code !== null) this.reasons[code] = (this.reasons[code] ?? 0) + 1;
    if (followedUp) this.followedUp++;
    const latencyMs = told.answeredMs - told.intendedMs;
    this.series.ended(told.answeredMs, outcome, isCertain(told) ? latencyMs : null);
    if (isCertain(told) && !followedUp) this.latency.record(latencyMs);
    if (mustBeRefused(request.wish) && (outcome === 'committed' || outcome === 'completed')) this.contradictions.push({ txid: told.txid, what: `${request.wish} was ${outcome}` });
  }
}

export function isCertain(told: Told): boolean {
  return told.outcome !== 'unknown' && told.outcome !== 'not-taken';
}
