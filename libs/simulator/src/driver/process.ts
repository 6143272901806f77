import type { Clock } from '#libs/runtime';
import type { Scheduler } from './scheduler.js';

/** What all clocks show, but for their skew, when a run begins. */
const EPOCH_MS = 1_700_000_000_000;

/** What the world asked of a driver and has not been answered. */
export interface OpenCall {
  readonly what: string;
  readonly sinceMs: number;
}

/**
 * One life of one instance of a service. When it dies nothing leaves it any more and nothing reaches it: its ports have no effect, its
 * timers do not fire, and what it waits for never comes. What it would still compute is seen by nobody.
 */
export class SimProcess implements Clock {
  readonly openCalls = new Set<OpenCall>();
  /** Resolves with the death. */
  readonly death: Promise<'dead'>;
  private isAlive = true;
  private readonly onDeath = new Set<() => void>();
  private resolveDeath!: (value: 'dead') => void;

  /** @param name of the instance, the same in all its lives. @param site whose database it works on */
  constructor(readonly name: string, readonly site: string, private readonly scheduler: Scheduler, /** Whole milliseconds. */ private skewMs: number) {
    this.death = new Promise((resolve) => {
      this.resolveDeath = resolve;
    });
  }

  get alive(): boolean {
    return this.isAlive;
  }

  die(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.openCalls.clear();
    this.resolveDeath('dead');
    for (const hear of this.onDeath) hear();
  }

  /** For what notices the death: the broker, the database. @returns takes it back */
  whenDead(hear: () => void): () => void {
    this.onDeath.add(hear);
    return () => void this.onDeath.delete(hear);
  }

  /** A promise whose answer never reaches the dead. */
  hears<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then((value) => {
        if (this.isAlive) resolve(value);
      }, (error: unknown) => {
        if (this.isAlive) reject(error as Error);
      });
    });
  }

  /** Answers `'dead'` when the process dies first; until then the call counts as open. */
  async ask<T>(what: string, answer: Promise<T>): Promise<T | 'dead'> {
    const call = { what, sinceMs: this.scheduler.nowMs };
    this.openCalls.add(call);
    try {
      return await Promise.race([answer, this.death]);
    } finally {
      this.openCalls.delete(call);
    }
  }

  // ---------------------------------------------------------------- its clock

  now(): number {
    return EPOCH_MS + Math.floor(this.scheduler.nowMs + this.skewMs);
  }

  /** In whole milliseconds, like now(): else what is due could seem to lie a fraction ahead for ever, as no time passes in between. */
  elapsed(): number {
    return Math.floor(this.scheduler.nowMs);
  }

  /** Waiting is measured by a monotonic clock, as in production: a jump changes what is shown, not how long is waited. */
  at(atMs: number, fire: () => void): () => void {
    return this.scheduler.at(atMs - EPOCH_MS - this.skewMs, () => {
      if (this.isAlive) fire();
    });
  }

  jump(ms: number): void {
    this.skewMs += ms;
  }
}
