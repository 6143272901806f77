import { Admission } from './admission.js';

const TARGET_MS = 1_000;
const MOST = 2_500;

/** A participant that works through its queue at a rate of its own, and requests that come at another, in steps of 10 ms. */
class Queue {
  readonly admission = new Admission({ elapsed: () => this.nowMs }, { maxInFlight: 100_000, maxInFlightPerParticipant: MOST, admissionTargetMs: TARGET_MS });
  private nowMs = 0;
  private readonly waiting: number[] = [];
  private work = 0;
  private offered = 0;

  /** @returns what was refused, and the waits of what was decided, in ms */
  run(seconds: number, { offered, capacity, atLeastMs = 0 }: { readonly offered: number; readonly capacity: number; readonly atLeastMs?: number }) {
    const waits: number[] = [];
    let refused = 0;
    for (const endMs = this.nowMs + seconds * 1_000; this.nowMs < endMs; this.nowMs += 10) {
      for (this.offered += offered / 100; this.offered >= 1; this.offered--) {
        if (this.admission.check(['payments'], 0) !== null) refused++;
        else {
          this.admission.enter(['payments']);
          this.waiting.push(this.nowMs);
        }
      }
      for (this.work = Math.min(this.work + capacity / 100, Math.max(1, capacity / 100)); this.work >= 1 && this.nowMs - (this.waiting[0] ?? Infinity) >= atLeastMs; this.work--) {
        const sinceMs = this.waiting.shift()!;
        waits.push(this.nowMs - sinceMs);
        this.admission.leave(['payments'], sinceMs);
      }
    }
    return { refused, waits, limit: this.admission.loads()['payments']!.limit };
  }

  /** All that wait are given up. */
  timeOut(): void {
    for (const _ of this.waiting.splice(0)) this.admission.leave(['payments'], null);
  }
}

const longest = (waits: readonly number[]): number => Math.max(...waits);

describe('the limit of a participant', () => {
  it('lets no transaction wait much longer than it should when three times as many come as can be decided, and decides as many as it can', () => {
    const queue = new Queue();
    queue.run(5, { offered: 3_000, capacity: 1_000 });
    const { waits, refused } = queue.run(10, { offered: 3_000, capacity: 1_000 });
    expect(longest(waits)).toBeLessThan(TARGET_MS * 1.3);
    expect(waits.length).toBeGreaterThan(9_900);
    expect(refused).toBeGreaterThan(19_000);
  });

  it('follows a participant that becomes ten times slower, and one that becomes quick again', () => {
    const queue = new Queue();
    queue.run(5, { offered: 3_000, capacity: 1_000 });
    queue.run(20, { offered: 3_000, capacity: 100 });
    expect(longest(queue.run(5, { offered: 3_000, capacity: 100 }).waits)).toBeLessThan(TARGET_MS * 1.3);
    queue.run(3, { offered: 3_000, capacity: 1_000 });
    expect(queue.run(1, { offered: 3_000, capacity: 1_000 }).waits.length).toBeGreaterThan(950);
  });

  it('is the configured one again soon after the last refusal', () => {
    const queue = new Queue();
    expect(queue.run(10, { offered: 3_000, capacity: 100 }).limit).toBeLessThan(200);
    queue.run(3, { offered: 100, capacity: 1_000 });
    expect(queue.run(2, { offered: 100, capacity: 1_000 }).limit).toBe(MOST);
  });

  it('takes a burst that is not larger than the configured limit', () => {
    expect(new Queue().run(0.01, { offered: MOST * 100, capacity: 1_000 }).refused).toBe(0);
  });

  it('is small, and never nothing, for a participant that does not answer', () => {
    const queue = new Queue();
    for (let round = 0; round < 10; round++) {
      queue.run(10, { offered: 1_000, capacity: 0 });
      queue.timeOut();
    }
    expect(queue.run(10, { offered: 1_000, capacity: 0 }).limit).toBe(32);
    queue.timeOut();
    queue.run(3, { offered: 1_000, capacity: 2_000 });
    expect(queue.run(1, { offered: 1_000, capacity: 2_000 }).refused).toBe(0);
  });

  it('leaves one alone that takes longer by nature', () => {
    const queue = new Queue();
    queue.run(10, { offered: 100, capacity: 10_000, atLeastMs: 2_000 });
    queue.run(20, { offered: 500, capacity: 10_000, atLeastMs: 2_000 });
    expect(queue.run(10, { offered: 500, capacity: 10_000, atLeastMs: 2_000 }).refused).toBe(0);
  });
});
