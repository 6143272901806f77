import { FakeClock } from './testing/fake-clock.js';
import { type DueTimer, Timers } from './timers.js';

describe('Timers', () => {
  let clock: FakeClock;
  let batches: (readonly DueTimer<'a' | 'b'>[])[];
  let timers: Timers<'a' | 'b'>;
  const fired = (): string[] => batches.flat().map((timer) => `${timer.key}/${timer.name}`);

  beforeEach(() => {
    clock = new FakeClock();
    batches = [];
    timers = new Timers(clock, (due) => batches.push(due));
  });

  it('fires in the order of time, each once, with its attempt', async () => {
    timers.set('k1', 'a', clock.now() + 30, 2);
    timers.set('k2', 'a', clock.now() + 10);
    timers.set('k3', 'b', clock.now() + 20);
    await clock.advance(100);
    expect(fired()).toEqual(['k2/a', 'k3/b', 'k1/a']);
    expect(batches.at(-1)![0]!.attempt).toBe(2);
  });

  it('fires what is due at one moment as one batch', async () => {
    for (let i = 0; i < 100; i++) timers.set(`k${i}`, 'a', clock.now() + 10);
    await clock.advance(10);
    expect(batches).toHaveLength(1);
    expect(batches[0]).toHaveLength(100);
  });

  it('never fires a cancelled or a replaced one', async () => {
    timers.set('k', 'a', clock.now() + 10);
    timers.set('k', 'a', clock.now() + 50, 1);
    timers.set('k', 'b', clock.now() + 10);
    timers.cancel('k', 'b');
    timers.set('other', 'a', clock.now() + 10);
    timers.cancelKey('other');
    await clock.advance(40);
    expect(batches).toEqual([]);
    await clock.advance(20);
    expect(fired()).toEqual(['k/a']);
  });

  it('tells the timers of one key apart in whatever order they come and go', async () => {
    for (const order of [['a', 'b'], ['b', 'a']] as const) {
      for (const name of order) timers.set('k', name, clock.now() + 10);
      timers.cancel('k', 'a');
      timers.cancel('k', 'a');
      expect(timers.size).toBe(1);
      await clock.advance(20);
      expect(fired()).toEqual(['k/b']);
      batches = [];
    }
    for (const name of ['a', 'b', 'a'] as const) timers.set('k', name, clock.now() + 10);
    timers.set('other', 'a', clock.now() + 10);
    timers.cancelKey('k');
    await clock.advance(20);
    expect(fired()).toEqual(['other/a']);
  });

  it('uses one timeout of the clock, and none when it is empty', () => {
    for (let i = 0; i < 100; i++) timers.set(`k${i}`, 'a', clock.now() + 100 - i);
    expect(clock.pending).toBe(1);
    for (let i = 0; i < 100; i++) timers.cancel(`k${i}`, 'a');
    expect(clock.pending).toBe(0);
    expect(timers.size).toBe(0);
  });

  it('lets a batch set timers anew', async () => {
    let rounds = 0;
    const again: Timers<'a'> = new Timers(clock, () => {
      if (++rounds < 3) again.set('k', 'a', clock.now() + 10);
    });
    again.set('k', 'a', clock.now() + 10);
    await clock.advance(100);
    expect(rounds).toBe(3);
  });

  it.each([3_600_000, -3_600_000])('waits for what elapses, although the wall clock jumps by %d ms', async (jumpMs) => {
    timers.set('before', 'a', clock.now() + 100);
    clock.jump(jumpMs);
    timers.set('after', 'a', clock.now() + 50);
    timers.setAt('elapsed', 'a', clock.elapsed() + 75);
    await clock.advance(49);
    expect(fired()).toEqual([]);
    await clock.advance(51);
    expect(fired()).toEqual(['after/a', 'elapsed/a', 'before/a']);
  });

  it('keeps its order and its promises through many random changes', async () => {
    const expected = new Map<string, number>();
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    for (let i = 0; i < 20_000; i++) {
      const key = `k${random(3_000)}`;
      if (random(3) === 0) {
        timers.cancel(key, 'a');
        expected.delete(key);
      } else {
        const atMs = clock.now() + 1 + random(50);
        timers.set(key, 'a', atMs);
        expected.set(key, atMs);
      }
    }
    expect(timers.size).toBe(expected.size);
    await clock.advance(60);
    const keys = batches.flat().map((timer) => timer.key);
    expect(new Set(keys)).toEqual(new Set(expected.keys()));
    expect(keys).toHaveLength(expected.size);
    const times = keys.map((key) => expected.get(key)!);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});
