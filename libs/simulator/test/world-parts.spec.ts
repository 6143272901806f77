/** The parts of the simulated world by themselves: chance, the queue of events, and the overrides of faults. */
import { describe, expect, it, test } from '@jest/globals';
import { drawFaults, NO_FAULTS, type FaultKey } from '../src/world/faults.js';
import { FAULT_RANGES, FaultOptionError, parseFaults } from '../src/world/parse-faults.js';
import { EventQueue } from '../src/world/queue.js';
import { Random } from '../src/world/random.js';

describe('chance', () => {
  it('is the same for the same seed, and another for the neighbour and for another stream', () => {
    const first = (seed: number, stream?: number): number[] => Array.from({ length: 4 }, ((random) => () => random.next())(new Random(seed, stream)));
    expect(first(5)).toEqual(first(5));
    expect(first(5)).not.toEqual(first(6));
    expect(first(5)).not.toEqual(first(5, 1));
  });

  it('is spread evenly over the first numbers of neighbouring seeds', () => {
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let seed = 0; seed < 10_000; seed++) tenths[Math.floor(new Random(seed).next() * 10)]! += 1;
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('has the odds and the mean that were asked for', () => {
    const random = new Random(1);
    let hits = 0;
    let sum = 0;
    for (let i = 0; i < 20_000; i++) {
      if (random.chance(0.3)) hits += 1;
      sum += random.exponential(50);
    }
    expect(hits / 20_000).toBeCloseTo(0.3, 1);
    expect(sum / 20_000 / 50).toBeCloseTo(1, 1);
  });
});

test('the queue gives the earliest event first, and of the same moment the one that came first', () => {
  const random = new Random(2);
  const queue = new EventQueue<{ atMs: number; seq: number; readonly name: number }>();
  const pushed = Array.from({ length: 500 }, (_, name) => ({ atMs: random.below(40), seq: 0, name }));
  const popped: (typeof pushed)[number][] = [];
  for (const event of pushed) {
    queue.push(event);
    if (random.chance(0.2)) popped.push(queue.pop()!);
  }
  const rest = Array.from({ length: queue.size }, () => queue.pop()!);
  expect(queue.pop()).toBeUndefined();
  expect(new Set([...popped, ...rest].map(({ name }) => name)).size).toBe(500);
  expect(rest).toEqual([...rest].sort((one, other) => one.atMs - other.atMs || one.name - other.name));
});

describe('drawn faults', () => {
  const draws = Array.from({ length: 3000 }, (_, seed) => drawFaults(new Random(seed)));
  const kinds: readonly FaultKey[] = [
    'loss', 'duplicate', 'spreadMs', 'partitions', 'crashBeforeFlush', 'crashAfterFlush', 'crashBetweenSends', 'crashes', 'loseSite', 'flushFailure', 'slow',
    'skewMs', 'clockJumps', 'takeOvers', 'retryElsewhere', 'cancel', 'commands',
  ];
  const present = draws.map((faults) => kinds.filter((kind) => faults[kind] > 0));

  it('are absent from some runs', () => {
    expect(present.filter((some) => some.length === 0).length).toBeGreaterThan(100);
  });

  test.each(kinds.map((kind) => [kind]))('%s comes alone in some runs, together with others in more, and not at all in most', (kind) => {
    const within = present.filter((some) => some.includes(kind));
    expect(within.filter((some) => some.length === 1).length).toBeGreaterThan(15);
    expect(within.filter((some) => some.length > 1).length).toBeGreaterThan(300);
    expect(within.length).toBeLessThan(1500);
  });

  it('are all within what an override may say', () => {
    const beyond = draws.flatMap((faults) => Object.entries(FAULT_RANGES).filter(([key, [from, to]]) => {
      const value = faults[key as FaultKey];
      return value < from || value > to;
    }));
    expect(beyond).toEqual([]);
  });
});

describe('overrides of faults', () => {
  it('are numbers by key, and off for 0', () => {
    expect(parseFaults(' loss=0.1, partitions=off,faultMs=2000')).toEqual({ loss: 0.1, partitions: 0, faultMs: 2000 });
    expect(parseFaults('')).toEqual({});
    expect(parseFaults('none')).toEqual(NO_FAULTS);
  });

  test.each([
    ['lost=1', /^there is no fault "lost"; there are: fromMs, .*commands/],
    ['toString=1', /^there is no fault "toString"/],
    ['loss=2', /^loss takes a number from 0 to 0.9 or off, got "2"/],
    ['loss=-0.1', /^loss takes a number from 0/],
    ['loss=1e-3', /^loss takes a number from 0/],
    ['slowFactor=off', /^slowFactor takes a number from 1 to 1000, got "off"/],
    ['loss', /^loss takes one value, as in loss=0.9/],
    ['loss=0.1=2', /^loss takes one value/],
    ['loss=0.1,loss=0.2', /^loss is given twice/],
    ['loss=0.1,', /^there is no fault ""/],
  ])('%s is refused with what is allowed', (text, message) => {
    expect(() => parseFaults(text)).toThrow(FaultOptionError);
    expect(() => parseFaults(text)).toThrow(message);
  });
});
