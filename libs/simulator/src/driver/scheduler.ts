import { setImmediate as turn } from 'node:timers/promises';

/**
 * After an event the drivers run until they wait for a port again. They gather what one turn of the event loop brings (lane, then
 * outbox or inquiry desk), so a few real turns are needed; nothing else runs on this thread, so their order is always the same.
 */
const TURNS_PER_EVENT = 3;

interface Event {
  readonly atMs: number;
  /** Breaks ties: first come, first served. */
  readonly order: number;
  run: (() => void) | null;
}

/** Simulated time: a queue of events. Fractions of a millisecond order what happens within one. */
export class Scheduler {
  private readonly heap: Event[] = [];
  private time = 0;
  private orders = 0;

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.time;
  }

  /** @returns takes the event back */
  in(delayMs: number, run: () => void): () => void {
    return this.at(this.time + delayMs, run);
  }

  /** @returns takes the event back */
  at(atMs: number, run: () => void): () => void {
    const event: Event = { atMs: Math.max(atMs, this.time), order: this.orders++, run };
    this.push(event);
    return () => {
      event.run = null;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.in(ms, resolve);
    });
  }

  /** Runs the next event and all that follows from it at once; false when there is none before `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    for (let event = this.heap[0]; event !== undefined && event.atMs <= untilMs; event = this.heap[0]) {
      this.pop();
      if (event.run === null) continue;
      this.time = event.atMs;
      event.run();
      for (let i = 0; i < TURNS_PER_EVENT; i++) await turn();
      return true;
    }
    this.time = untilMs;
    return false;
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
