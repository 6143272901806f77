/**
 * Chance as a function of a seed: sfc32 (Chris Doty-Humphrey, PractRand), its state filled by splitmix32, so that neighbouring seeds and
 * the streams of one seed are unrelated.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /**
   * @param seed a whole number, 0 to 2^32 - 1
   * @param stream what the numbers are for: uses of one seed that must not disturb each other take different ones
   */
  constructor(seed: number, stream = 0) {
    this.a = splitmix32(seed | 0);
    this.b = splitmix32(this.a + stream);
    this.c = splitmix32(this.b + 1);
    for (let i = 0; i < 8; i++) this.bits();
  }

  /** 0 <= x < 1. */
  next(): number {
    return this.bits() / 0x1_0000_0000;
  }

  /** Takes no number from the stream when the odds are 0. */
  chance(odds: number): boolean {
    return odds > 0 && this.bits() < odds * 0x1_0000_0000;
  }

  /** A whole number, 0 <= n < `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** A whole number, from <= n <= to. */
  int(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** With this mean; of the gaps between events that come independently of each other. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  private bits(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

function splitmix32(seed: number): number {
  let z = (seed + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}
