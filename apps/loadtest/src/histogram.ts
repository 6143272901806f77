// Run by Node as it is (tools/chaos), too: erasable TypeScript, relative imports in .ts.

/** Each power of two is cut into this many equal parts: a value is off by 0.8 % at most. */
const PARTS = 64;
const PART_BITS = 6;

/**
 * Counts of durations in a fixed number of buckets, as HdrHistogram does it: as exact for microseconds as for minutes, in memory that
 * does not grow with what is recorded.
 */
export class Histogram {
  private counts = new Uint32Array(32 * PARTS);
  private total = 0;
  private largest = 0;
  private sum = 0;

  /** @param ms less than 2^31 microseconds (half an hour); more counts as that */
  record(ms: number): void {
    this.counts[indexOf(Math.max(0, Math.round(ms * 1000)))]!++;
    this.total++;
    this.sum += ms;
    if (ms > this.largest) this.largest = ms;
  }

  add(other: Histogram): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += other.counts[i]!;
    this.total += other.total;
    this.sum += other.sum;
    this.largest = Math.max(this.largest, other.largest);
  }

  get count(): number {
    return this.total;
  }

  /** Milliseconds; NaN without values. */
  get max(): number {
    return this.total === 0 ? Number.NaN : this.largest;
  }

  get mean(): number {
    return this.sum / this.total;
  }

  /**
   * Milliseconds that `fraction` of the values do not exceed; NaN without values.
   * @param fraction above 0, up to 1
   */
  at(fraction: number): number {
    if (this.total === 0) return Number.NaN;
    const wanted = Math.max(1, Math.ceil(this.total * fraction));
    let seen = 0;
    for (let i = 0; i < this.counts.length; i++) {
      seen += this.counts[i]!;
      if (seen >= wanted) return Math.min(upperEnd(i) / 1000, this.largest);
    }
    return this.largest;
  }

  summary(): LatencySummary {
    return { count: this.total, p50: this.at(0.5), p95: this.at(0.95), p99: this.at(0.99), p999: this.at(0.999), max: this.max };
  }
}

/** Milliseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Values below 2 x PARTS have a bucket each; above, the leading bits choose. */
function indexOf(us: number): number {
  if (us < 2 * PARTS) return us;
  const bits = Math.min(30, 31 - Math.clz32(us));
  const shift = bits - PART_BITS;
  return (shift + 1) * PARTS + Math.min(PARTS - 1, Math.floor(us / 2 ** shift) - PARTS);
}

/** The greatest value of a bucket, in microseconds. */
function upperEnd(index: number): number {
  if (index < 2 * PARTS) return index;
  const shift = Math.floor(index / PARTS) - 1;
  return (index - (shift + 1) * PARTS + PARTS + 1) * 2 ** shift - 1;
}
