import { Latencies } from '../../apps/loadtest/src/latency.ts';

/** One second of the load. */
export interface Second {
  readonly offered: number;
  /** Certain answers in this second, by ending. */
  readonly endings: Readonly<Record<string, number>>;
  readonly answered: number;
  /** Milliseconds from the intended start, of the answers of this second; null without any. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

interface Bin {
  offered: number;
  readonly endings: Record<string, number>;
  answered: number;
  latency: Latencies | null;
}

/** What happened in each second since the start. */
export class Series {
  private readonly bins: Bin[] = [];

  offered(atMs: number): void {
    this.bin(atMs).offered++;
  }

  /** @param latencyMs null: not an answer, but something to count (refused, unknown) */
  ended(atMs: number, ending: string, latencyMs: number | null): void {
    const bin = this.bin(atMs);
    bin.endings[ending] = (bin.endings[ending] ?? 0) + 1;
    if (latencyMs === null) return;
    bin.answered++;
    (bin.latency ??= new Latencies()).record(latencyMs);
  }

  seconds(): readonly Second[] {
    return Array.from(this.bins, (bin) => ({
      offered: bin.offered, endings: bin.endings, answered: bin.answered,
      p50: bin.latency?.at(0.5) ?? null, p99: bin.latency?.at(0.99) ?? null, max: bin.latency?.max ?? null,
    }));
  }

  private bin(atMs: number): Bin {
    const index = Math.max(0, Math.floor(atMs / 1000));
    while (this.bins.length <= index) this.bins.push({ offered: 0, endings: {}, answered: 0, latency: null });
    return this.bins[index]!;
  }
}
