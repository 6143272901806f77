// Run by Node as it is (tools/chaos), too: erasable TypeScript, relative imports in .ts.
import { build, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

const US_PER_MS = 1_000;
const LONGEST_US = 120_000_000;

/**
 * fine    3 significant digits, 75 kB from the first value on: one for a run
 * coarse  2 significant digits, as large as its longest value needs (12 kB at most): one for each second of an hour
 */
export type Precision = 'fine' | 'coarse';

/** Milliseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Latencies in an HdrHistogram of microseconds, 1 to 120,000,000: as exact for microseconds as for minutes, in bounded memory. */
export class Latencies {
  private readonly histogram: Histogram;

  constructor(precision: Precision = 'coarse') {
    this.histogram = precision === 'fine'
      ? build({ bitBucketSize: 32, autoResize: false, lowestDiscernibleValue: 1, highestTrackableValue: LONGEST_US, numberOfSignificantValueDigits: 3 })
      : build({ bitBucketSize: 32, autoResize: true, numberOfSignificantValueDigits: 2 });
  }

  /** @param ms what is less than a microsecond counts as that, what is longer than two minutes as two minutes */
  record(ms: number): void {
    this.histogram.recordValue(Math.min(LONGEST_US, Math.max(1, Math.round(ms * US_PER_MS))));
  }

  get count(): number {
    return this.histogram.totalCount;
  }

  /** Milliseconds; NaN without values. */
  get max(): number {
    return this.count === 0 ? Number.NaN : this.histogram.maxValue / US_PER_MS;
  }

  /**
   * Milliseconds that `fraction` of the values do not exceed; NaN without values.
   * @param fraction above 0, up to 1
   */
  at(fraction: number): number {
    return this.count === 0 ? Number.NaN : this.histogram.getValueAtPercentile(fraction * 100) / US_PER_MS;
  }

  summary(): LatencySummary {
    return { count: this.count, p50: this.at(0.5), p95: this.at(0.95), p99: this.at(0.99), p999: this.at(0.999), max: this.max };
  }

  /** Forgets all values and keeps the memory. */
  reset(): void {
    this.histogram.reset();
  }

  /** In HdrHistogram's interchange format: V2, compressed, base64. */
  encoded(): string {
    return encodeIntoCompressedBase64(this.histogram);
  }
}
