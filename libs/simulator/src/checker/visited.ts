/**
 * The states seen so far. Kept of each: 64 bits of hash, which state it was first reached from, and by which of that one's transitions.
 *
 * Two states with the same 64 bits would be taken for one and the second never looked at. Among n states the odds that this happens at
 * all are below n^2 / 2^65: 3 in a million for ten million states.
 */
const FIRST_CAPACITY = 1 << 16;

export class Visited {
  size = 0;
  private slots = new Int32Array(FIRST_CAPACITY * 2);
  private mask = FIRST_CAPACITY * 2 - 1;
  private low = new Int32Array(FIRST_CAPACITY);
  private high = new Int32Array(FIRST_CAPACITY);
  private parents = new Int32Array(FIRST_CAPACITY);
  private ordinals = new Uint16Array(FIRST_CAPACITY);
  private lowHash = 0;
  private highHash = 0;

  /** True when the world had not been seen. Its number is then `size - 1`. */
  add(world: Int32Array, length: number, parent: number, ordinal: number): boolean {
    this.hash(world, length);
    if (this.slots[this.find(this.lowHash, this.highHash)] !== 0) return false;
    if (this.size === this.low.length) this.grow();
    const state = this.size++;
    this.low[state] = this.lowHash;
    this.high[state] = this.highHash;
    this.parents[state] = parent;
    this.ordinals[state] = ordinal;
    this.slots[this.find(this.lowHash, this.highHash)] = state + 1;
    return true;
  }

  has(world: Int32Array, length: number): boolean {
    this.hash(world, length);
    return this.slots[this.find(this.lowHash, this.highHash)] !== 0;
  }

  parentOf(state: number): number {
    return this.parents[state]!;
  }

  ordinalOf(state: number): number {
    return this.ordinals[state]!;
  }

  private hash(world: Int32Array, length: number): void {
    let low = 0x811c9dc5 | 0;
    let high = 0x3c6ef372 | 0;
    for (let i = 0; i < length; i++) {
      const word = world[i]!;
      low = Math.imul(low ^ word, 0x01000193);
      low ^= low >>> 15;
      high = Math.imul(high + word, 0x9e3779b1);
      high ^= high >>> 13;
    }
    this.lowHash = finished(low ^ length, 0x85ebca6b, 0xc2b2ae35);
    this.highHash = finished(high, 0x7feb352d, 0x846ca68b);
  }

  private find(low: number, high: number): number {
    let slot = low & this.mask;
    for (;;) {
      const entry = this.slots[slot]!;
      if (entry === 0 || (this.low[entry - 1] === low && this.high[entry - 1] === high)) return slot;
      slot = (slot + 1) & this.mask;
    }
  }

  private grow(): void {
    const capacity = this.low.length * 2;
    this.low = longer(this.low, new Int32Array(capacity));
    this.high = longer(this.high, new Int32Array(capacity));
    this.parents = longer(this.parents, new Int32Array(capacity));
    this.ordinals = longer(this.ordinals, new Uint16Array(capacity));
    this.slots = new Int32Array(capacity * 2);
    this.mask = capacity * 2 - 1;
    for (let state = 0; state < this.size; state++) this.slots[this.find(this.low[state]!, this.high[state]!)] = state + 1;
  }
}

function finished(hash: number, one: number, other: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), one);
  mixed = Math.imul(mixed ^ (mixed >>> 13), other);
  return mixed ^ (mixed >>> 16);
}

function longer<Kind extends Int32Array | Uint16Array>(old: Kind, grown: Kind): Kind {
  grown.set(old);
  return grown;
}
