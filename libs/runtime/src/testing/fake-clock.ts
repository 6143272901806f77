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

/** Time that moves only when a test says so. Timers wait for what elapses; `jump` moves the wall alone. */
export class FakeClock implements Clock {
  private elapsedMs = 1_000;
  private wallMs = 1_700_000_000_000 - this.elapsedMs;
  private timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  now(): number {
    return this.wallMs + this.elapsedMs;
  }

  elapsed(): number {
    return this.elapsedMs;
  }

  at(atMs: number, fire: () => void): () => void {
    const timer = { atMs: atMs - this.wallMs, fire };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.timers.length;
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.wallMs += ms;
  }

  /** Moves on, firing in order what is due on the way and letting its consequences run. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await turns();
    for (;;) {
      const next = this.timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
      next.fire();
      await turns();
    }
    this.elapsedMs = endMs;
  }
}
