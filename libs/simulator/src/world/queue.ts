/** What is to happen, earliest first; of the same moment, what was scheduled first. */
export interface Timed {
  atMs: number;
  /** Given by the queue: breaks ties. */
  seq: number;
}

/** A binary heap. */
export class EventQueue<T extends Timed> {
  private readonly heap: T[] = [];
  private scheduled = 0;

  get size(): number {
    return this.heap.length;
  }

  /** Whether any of what is to happen is like that. */
  some(isLikeThat: (event: T) => boolean): boolean {
    return this.heap.some(isLikeThat);
  }

  push(event: T): void {
    const { heap } = this;
    const { atMs } = event;
    event.seq = this.scheduled++;
    let i = heap.length;
    heap.push(event);
    // The event is the newest: among equals it stays below.
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up]!;
      if (parent.atMs <= atMs) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  pop(): T | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    this.sink(last);
    return first;
  }

  private sink(event: T): void {
    const { heap } = this;
    const { length } = heap;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= length) break;
      if (down + 1 < length && isBefore(heap[down + 1]!, heap[down]!)) down += 1;
      const child = heap[down]!;
      if (!isBefore(child, event)) break;
      heap[i] = child;
      i = down;
    }
    heap[i] = event;
  }
}

function isBefore(one: Timed, other: Timed): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.seq < other.seq);
}
