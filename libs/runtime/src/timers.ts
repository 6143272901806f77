import type { Clock } from './ports.js';

export interface DueTimer<Name extends string, Key = string> {
  readonly key: Key;
  readonly name: Name;
  readonly attempt: number;
}

interface Entry<Name extends string, Key> extends DueTimer<Name, Key> {
  /** As Clock.elapsed() counts. */
  readonly atMs: number;
  live: boolean;
  /** Another living one of the same key. */
  sibling: Entry<Name, Key> | null;
}

/** Below this size dead entries are not worth a clean-up. */
const COMPACT_FROM = 1024;

/**
 * Many named timers on one clock timeout. They count what has elapsed: a jump of the wall clock, either way, moves none of them. A heap by
 * time; a replaced or cancelled entry stays in it as a dead one until it comes to the top or the dead outnumber the living, because most
 * timers here are cancelled long before they are due.
 */
export class Timers<Name extends string, Key = string> {
  private heap: Entry<Name, Key>[] = [];
  /** The latest of each key, from which its siblings follow. */
  private readonly byKey = new Map<Key, Entry<Name, Key>>();
  private living = 0;
  private armedAtMs = Number.POSITIVE_INFINITY;
  private disarm: () => void = () => {};

  /** @param onDue gets everything that is due at one moment together, earliest first; it may set and cancel timers */
  constructor(private readonly clock: Clock, private readonly onDue: (due: readonly DueTimer<Name, Key>[]) => void) {}

  get size(): number {
    return this.living;
  }

  /** Replaces the timer of the same key and name. @param atMs what the wall would say then, if it went on as it goes now */
  set(key: Key, name: Name, atMs: number, attempt = 0): void {
    this.setAt(key, name, this.clock.elapsed() + (atMs - this.clock.now()), attempt);
  }

  /** As `set`. @param atMs as Clock.elapsed() counts */
  setAt(key: Key, name: Name, atMs: number, attempt = 0): void {
    let sibling = this.byKey.get(key) ?? null;
    if (sibling !== null) {
      this.cancel(key, name);
      sibling = this.byKey.get(key) ?? null;
    }
    const entry = { key, name, atMs, attempt, live: true, sibling };
    this.byKey.set(key, entry);
    this.living++;
    this.push(entry);
    if (atMs < this.armedAtMs) this.arm(atMs);
  }

  cancel(key: Key, name: Name): void {
    let entry = this.byKey.get(key) ?? null;
    while (entry !== null && entry.name !== name) entry = entry.sibling;
    if (entry !== null) this.remove(entry);
  }

  /** Cancels all timers of the key. */
  cancelKey(key: Key): void {
    for (let entry = this.byKey.get(key); entry !== undefined; entry = this.byKey.get(key)) this.remove(entry);
  }

  clear(): void {
    this.heap = [];
    this.byKey.clear();
    this.living = 0;
    this.disarm();
    this.armedAtMs = Number.POSITIVE_INFINITY;
  }

  private remove(entry: Entry<Name, Key>): void {
    entry.live = false;
    this.living--;
    // Nothing to wake up for; a clock timeout would keep a stopped process alive.
    if (this.living === 0) return this.clear();
    this.unlink(entry);
    if (this.heap.length > COMPACT_FROM && this.living * 2 < this.heap.length) this.compact();
  }

  private unlink(entry: Entry<Name, Key>): void {
    const { key, sibling } = entry;
    const first = this.byKey.get(key)!;
    if (first !== entry) {
      let before = first;
      while (before.sibling !== entry) before = before.sibling!;
      before.sibling = sibling;
    } else if (sibling === null) this.byKey.delete(key);
    else this.byKey.set(key, sibling);
    // A dead entry may stay in the heap for long, and must keep nothing else.
    entry.sibling = null;
  }

  private arm(atMs: number): void {
    this.disarm();
    this.armedAtMs = atMs;
    // Rounded up, because the wall shows whole milliseconds: what comes too early is armed again, and each time must get further.
    this.disarm = this.clock.at(this.clock.now() + Math.ceil(Math.max(atMs - this.clock.elapsed(), 0)), () => this.fire());
  }

  private fire(): void {
    this.armedAtMs = Number.POSITIVE_INFINITY;
    this.disarm = () => {};
    const nowMs = this.clock.elapsed();
    const due: DueTimer<Name, Key>[] = [];
    for (let top = this.heap[0]; top !== undefined && (!top.live || top.atMs <= nowMs); top = this.heap[0]) {
      this.pop();
      if (!top.live) continue;
      this.remove(top);
      due.push(top);
    }
    if (due.length > 0) this.onDue(due);
    const next = this.heap[0];
    if (next !== undefined && next.atMs < this.armedAtMs) this.arm(next.atMs);
  }

  private compact(): void {
    // Sorted by time, an array is a heap.
    this.heap = this.heap.filter((entry) => entry.live).sort((a, b) => a.atMs - b.atMs);
  }

  private push(entry: Entry<Name, Key>): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.atMs <= entry.atMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child++;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
