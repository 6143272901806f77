import type { DriverFaults } from './faults.js';
import type { SimProcess } from './process.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';

/** A fault that the world has made, and that goes away by itself. Any other error that a driver reports is a defect. */
export class SimulatedFault extends Error {}

interface Reply<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
  /** Calls back when the answer has arrived, if there is still somebody. */
  answer(settle: () => void): void;
}

/** Counts of what has gone wrong, so that tests can see that it does. */
export type FaultCounts = Record<string, number>;

/**
 * Requests of processes to servers (databases, the broker): how long they take, whether they arrive, whether the answer does. A request has
 * its whole effect at one moment between question and answer, which is what the locks of the real database amount to.
 */
export class Wire {
  readonly counts: FaultCounts = {};
  private readonly downUntilMs = new Map<string, number>();

  /** @param faults replaced when the world heals */
  constructor(
    private readonly scheduler: Scheduler, private readonly random: Random, public faults: DriverFaults,
    private readonly crash: (process: SimProcess, when: string) => void,
  ) {}

  /** Nothing reaches the server until then. */
  outage(server: string, ms: number): void {
    this.downUntilMs.set(server, this.scheduler.nowMs + ms);
  }

  heal(calm: DriverFaults): void {
    this.faults = calm;
    this.downUntilMs.clear();
  }

  isDown(server: string): boolean {
    return (this.downUntilMs.get(server) ?? 0) > this.scheduler.nowMs;
  }

  count(fault: string): void {
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
  }

  happens(fault: 'poison' | 'handlerFails' | 'duplicate' | 'stray' | 'tornSend'): boolean {
    if (!this.random.chance(this.faults[fault])) return false;
    this.count(fault);
    return true;
  }

  /** 0 <= x < 1. */
  chance(): number {
    return this.random.next();
  }

  /** Nothing, a moment, or long enough to be overtaken. */
  latencyMs(): number {
    if (this.random.chance(this.faults.slow)) {
      this.count('slow');
      return this.random.next() * this.faults.slowMs;
    }
    return this.random.between(0.1, 2);
  }

  /** @param serve the effect, and the answer; what it throws is answered as an error */
  request<T>(process: SimProcess, server: string, serve: () => T): Promise<T> {
    if (!process.alive) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void): void => {
        this.scheduler.in(this.latencyMs(), () => {
          if (process.alive) settle();
        });
      };
      this.scheduler.in(this.latencyMs(), () => this.arrive(process, server, serve, { resolve, reject, answer }));
    });
  }

  private arrive<T>(process: SimProcess, server: string, serve: () => T, { resolve, reject, answer }: Reply<T>): void {
    const { random, faults } = this;
    // Whether it had left before its process died.
    if (!process.alive && random.chance(0.5)) return;
    const crashes = process.alive && random.chance(faults.crashInCall);
    if (crashes && random.chance(0.5)) return this.crash(process, `before ${server} had its request`);
    const refused = this.isDown(server) ? 'out of reach' : random.chance(faults.refuse) ? 'request lost' : null;
    if (refused !== null) {
      this.count(refused);
      return answer(() => reject(new SimulatedFault(`${server}: ${refused}`)));
    }
    let value: T;
    try {
      value = serve();
    } catch (error) {
      return answer(() => reject(error));
    }
    if (crashes) return this.crash(process, `before it had the answer of ${server}`);
    if (!random.chance(faults.loseAnswer)) return answer(() => resolve(value));
    this.count('answer lost');
    answer(() => reject(new SimulatedFault(`${server}: answer lost`)));
  }
}
