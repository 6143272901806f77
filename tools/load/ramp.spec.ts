import { describe, expect, it } from '@jest/globals';
import { describeKnee, kneeOf, nextRate, type RampStep, stepOf } from './ramp.js';
import { sampleRun } from './testing/sample-report.ts';

/** A system that answers in 20 ms up to its capacity. */
function measured(ratePerSecond: number, capacity: number): RampStep {
  const isOver = ratePerSecond > capacity;
  return { ratePerSecond, achieved: Math.min(ratePerSecond, capacity), p50: isOver ? 900 : 20, p99: isOver ? 2_000 : 60 };
}

function ramp(capacity: number, first = 50, factor = 1.25): RampStep[] {
  const steps = [measured(first, capacity)];
  for (let rate = nextRate(steps, factor); rate !== null; rate = nextRate(steps, factor)) steps.push(measured(rate, capacity));
  return steps;
}

describe('a step of a ramp', () => {
  it('has achieved what ended in its time, and not all that ended in the end', () => {
    expect(stepOf(sampleRun({ ratePerSecond: 400, perSecond: 310 }))).toMatchObject({ ratePerSecond: 400, achieved: 310 });
  });
});

describe('a ramp', () => {
  it('grows by its factor, then halves the last gap twice', () => {
    expect(ramp(100).map(({ ratePerSecond }) => ratePerSecond)).toEqual([50, 63, 79, 99, 124, 112, 106]);
    expect(ramp(110).map(({ ratePerSecond }) => ratePerSecond)).toEqual([50, 63, 79, 99, 124, 112, 106]);
  });

  it('finds the knee to within a quarter of its last step', () => {
    for (const capacity of [60, 400, 777, 5_000]) {
      const knee = kneeOf(ramp(capacity));
      expect(knee.ratePerSecond).toBeLessThanOrEqual(capacity);
      expect(knee.ratePerSecond).toBeGreaterThan(capacity * 0.9);
      expect(knee.tooMuch).toBeGreaterThan(capacity);
    }
  });

  it('takes a queue for too much, although everything is answered', () => {
    const calm = { ratePerSecond: 100, achieved: 100, p50: 20, p99: 199 };
    expect(nextRate([calm], 2)).toBe(200);
    expect(nextRate([calm, { ratePerSecond: 200, achieved: 200, p50: 50, p99: 201 }], 2)).toBe(150);
  });

  it('takes less than 95 % of what was offered for too much, however fast it was', () => {
    expect(kneeOf([{ ratePerSecond: 100, achieved: 94, p50: 20, p99: 30 }]).ratePerSecond).toBeNull();
    expect(kneeOf([{ ratePerSecond: 100, achieved: 95, p50: 20, p99: 30 }]).ratePerSecond).toBe(100);
  });

  it('takes a step of which nothing ended for too much', () => {
    expect(kneeOf([measured(50, 100), { ratePerSecond: 60, achieved: 60, p50: Number.NaN, p99: Number.NaN }]).tooMuch).toBe(60);
  });

  it('ends at once when the first rate is too much, and says to begin lower', () => {
    const steps = ramp(10);
    expect(steps).toHaveLength(1);
    expect(describeKnee(kneeOf(steps))).toContain('begin lower, with --rate');
  });

  it('ends with rates that have nothing between them', () => {
    expect(ramp(2, 1, 2).map(({ ratePerSecond }) => ratePerSecond)).toEqual([1, 2, 4, 3]);
    expect(ramp(1, 1, 1.05).map(({ ratePerSecond }) => ratePerSecond)).toEqual([1, 2]);
  });

  it('ends at the highest rate that can be asked for', () => {
    const steps = ramp(1e9, 60_000, 1.5);
    expect(steps.map(({ ratePerSecond }) => ratePerSecond)).toEqual([60_000, 90_000, 100_000]);
    expect(describeKnee(kneeOf(steps))).toBe('knee: above 100000/s, the highest rate there is');
  });

  it('says where the knee is, and what was too much', () => {
    expect(describeKnee({ ratePerSecond: 400, tooMuch: 430, unloadedP50Ms: 20 })).toBe('knee: 400/s; at 430/s: a p99 of more than 10 times the unloaded median of 20.0 ms, or less than 95 % of what is offered');
  });
});
