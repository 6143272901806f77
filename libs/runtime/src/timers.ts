import type { Clock } from './ports.js';

export interface DueTimer<Name extends string> {
  readonly key: string;
  readonly name: Name;
  readonly attempt: number;
}

interface Entry<Name extends string> extends DueTimer<Name> {
  /** As Clock.elapsed() counts. */
  readonly atMs: number;
  live: boolean;
}

/** Below this size dead entries are not worth a clean-up. */
const COMPACT_FROM = 1024;

/**
 * Many named timers on one clock timeout. They count what has elapsed: a jump of the wall clock, either way, moves none of them. A heap by
 * time; a replaced or cancelled entry stays in it as a dead one until it comes to the top or the dead outnumber the living, because most
 * timers here are cancelled long before they are due.
 */
export class Timers<Name extends string> {
  private heap: Entry<Name>[] = [];
  private readonly byKey = new Map<string, Entry<Name>[]>();
  private living = 0;
  private armedAtMs = Number.POSITIVE_INFINITY;
  private disarm: () => void = () => {};

  /** @param onDue gets everything that is due at one moment together, earliest first; it may set and cancel timers */
  constructor(private readonly clock: Clock, private readonly onDue: (due: readonly DueTimer<Name>[]) => void) {}

  get size(): number {
    return this.living;
  }

  /** Replaces the timer of the same key and name. @param atMs what the wall would say then, if it went on as it goes now */
  set(key: string, name: Name, atMs: number, attempt = 0): void {
    this.setAt(key, name, this.clock.elapsed() + (atMs - this.clock.now()), attempt);
  }

  /** As `set`. @param atMs as Clock.elapsed() counts */
  setAt(key: string, name: Name, atMs: number, attempt = 0): void {
    this.cancel(key, name);
    const entry = { key, name, atMs, attempt, live: true };
    const siblings = this.byKey.get(key);
    if (siblings === undefined) this.byKey.set(key, [entry]);
    else siblings.push(entry);
    this.living++;
    this.push(entry);
    if (atMs < this.armedAtMs) this.arm(atMs);
  }

  cancel(key: string, name: Name): void {
    const entry = this.byKey.get(key)?.find((sibling) => sibling.name === name);
    if (entry !== undefined) this.remove(entry);
  }

  /** Cancels all timers of the key. */
  cancelKey(key: string): void {
    for (const entry of this.byKey.get(key)?.slice() ?? []) this.remove(entry);
  }

  clear(): void {
    this.heap = [];
    this.byKey.clear();
    this.living = 0;
    this.disarm();
    this.armedAtMs = Number.POSITIVE_INFINITY;
  }

  private remove(entry: Entry<Name>): void {
    entry.live = false;
    this.living--;
    // Nothing to wake up for; a clock timeout would keep a stopped process alive.
    if (this.living === 0) return this.clear();
    const siblings = this.byKey.get(entry.key)!;
    if (siblings.length === 1) this.byKey.delete(entry.key);
    else siblings.splice(siblings.indexOf(entry), 1);
    if (this.heap.length > COMPACT_FROM && this.living * 2 < this.heap.length) this.compact();
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
    const due: DueTimer<Name>[] = [];
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

  private push(entry: Entry<Name>): void {
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
