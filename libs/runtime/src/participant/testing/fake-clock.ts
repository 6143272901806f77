import type { Clock } from '../../ports.js';

/** Lets everything run that needs no clock: promises and immediates, several turns of the event loop. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is moved; its wall may be set apart from that. */
export class FakeClock implements Clock {
  private readonly timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  private elapsedMs = 0;

  constructor(private startMs = 1_700_000_000_000) {}

  now(): number {
    return this.startMs + this.elapsedMs;
  }

  elapsed(): number {
    return this.elapsedMs;
  }

  at(atMs: number, fire: () => void): () => void {
    const timer = { atMs: this.elapsedMs + Math.max(atMs - this.now(), 0), fire };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Timers that wait. */
  get pending(): number {
    return this.timers.size;
  }

  /** Somebody sets the wall clock; no time passes. */
  setWall(byMs: number): void {
    this.startMs += byMs;
  }

  /** Moves on, stopping at every timer on the way and letting its consequences happen. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await turns();
    for (let next = this.nextBefore(endMs); next !== null; next = this.nextBefore(endMs)) {
      this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
      this.timers.delete(next);
      next.fire();
      await turns();
    }
    this.elapsedMs = endMs;
  }

  private nextBefore(endMs: number): { readonly atMs: number; readonly fire: () => void } | null {
    const due = [...this.timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
    return due[0] ?? null;
  }
}
