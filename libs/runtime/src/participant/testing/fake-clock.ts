import type { Clock } from '../../ports.js';

/** Lets everything run that needs no clock: promises and immediates, several turns of the event loop. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  private readonly timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();

  constructor(private nowMs = 1_700_000_000_000) {}

  now(): number {
    return this.nowMs;
  }

  at(atMs: number, fire: () => void): () => void {
    const timer = { atMs, fire };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Timers that wait. */
  get pending(): number {
    return this.timers.size;
  }

  /** Moves on, stopping at every timer on the way and letting its consequences happen. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await turns();
    for (let next = this.nextBefore(endMs); next !== null; next = this.nextBefore(endMs)) {
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.timers.delete(next);
      next.fire();
      await turns();
    }
    this.nowMs = endMs;
  }

  private nextBefore(endMs: number): { readonly atMs: number; readonly fire: () => void } | null {
    const due = [...this.timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
    return due[0] ?? null;
  }
}
