import type { Clock } from '../ports.js';

/** Lets everything that is ready run: promises and event-loop turns, no clock time. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for a condition that needs no clock time. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (condition()) return;
    await turns(1);
  }
  throw new Error(`${what} did not come true`);
}

/** Time that moves only when a test says so. */
export class FakeClock implements Clock {
  private nowMs = 1_700_000_000_000;
  private timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  at(atMs: number, fire: () => void): () => void {
    const timer = { atMs, fire };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.timers.length;
  }

  /** Moves on, firing in order what is due on the way and letting its consequences run. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await turns();
    for (;;) {
      const next = this.timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fire();
      await turns();
    }
    this.nowMs = endMs;
  }
}
