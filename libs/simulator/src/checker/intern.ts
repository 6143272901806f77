/** Numbers in place of values: two values get the same number iff their JSON, keys sorted, is the same. */

export class Interner<Value> {
  readonly values: Value[] = [];
  private readonly ids = new Map<string, number>();

  /** @param kind keeps values apart that look the same but belong to different owners */
  idOf(value: Value, kind = ''): number {
    const key = `${kind}:${canonicalJson(value)}`;
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    this.ids.set(key, this.values.length);
    this.values.push(value);
    return this.values.length - 1;
  }
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isPlainObject(part) ? sorted(part) : part)) ?? 'undefined';
}

function isPlainObject(part: unknown): part is Record<string, unknown> {
  return typeof part === 'object' && part !== null && !Array.isArray(part);
}

function sorted(part: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(part).toSorted().map((key) => [key, part[key]]));
}

/** A map from three whole numbers (the first not negative) to one, in one typed array: open addressing, linear probing. */
export class TripleMap {
  private slots = new Int32Array(1024 * 4).fill(-1);
  private mask = 1023;
  private size = 0;

  /** -1: not there. */
  get(a: number, b: number, c: number): number {
    return this.slots[this.slotOf(a, b, c) + 3]!;
  }

  /** @param value not negative */
  set(a: number, b: number, c: number, value: number): void {
    if ((this.size + 1) * 2 > this.mask) this.grow();
    const at = this.slotOf(a, b, c);
    if (this.slots[at] === -1) this.size += 1;
    this.slots[at] = a;
    this.slots[at + 1] = b;
    this.slots[at + 2] = c;
    this.slots[at + 3] = value;
  }

  private slotOf(a: number, b: number, c: number): number {
    const { slots, mask } = this;
    let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    for (let slot = (hash ^ (hash >>> 13)) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * 4;
      if (slots[at] === -1 || (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c)) return at;
    }
  }

  private grow(): void {
    const old = this.slots;
    this.mask = this.mask * 2 + 1;
    this.slots = new Int32Array((this.mask + 1) * 4).fill(-1);
    this.size = 0;
    for (let at = 0; at < old.length; at += 4) if (old[at] !== -1) this.set(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
  }
}
