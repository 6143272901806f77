/**
 * Chance that is a function of its seed (sfc32 by Chris Doty-Humphrey, PractRand). Seeds are whole numbers up to 2^53; neighbours give
 * unrelated streams.
 */
export class Random {
  private a: number;
  private b: number;
  private c = 0x9e3779b9;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed | 0;
    this.b = Math.floor(seed / 0x1_0000_0000) | 0;
    for (let i = 0; i < 15; i++) this.bits();
  }

  /** 0 <= x < 1. */
  next(): number {
    return this.bits() / 0x1_0000_0000;
  }

  chance(odds: number): boolean {
    return odds > 0 && this.next() < odds;
  }

  /** A whole number, 0 <= n < `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  private bits(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum | 0;
    return sum >>> 0;
  }
}
