import { SystemClock } from './system-clock.js';

describe('SystemClock', () => {
  const clock = new SystemClock();

  it('never fires early', async () => {
    for (let i = 0; i < 20; i++) {
      const atMs = clock.now() + 3;
      await new Promise<void>((resolve) => clock.at(atMs, resolve));
      // Two clocks are read one after the other, and the wall clock in whole milliseconds.
      expect(clock.now()).toBeGreaterThanOrEqual(atMs - 1);
    }
  });

  it('is not held up when the wall clock is set back', async () => {
    const wall = Date.now;
    const done = new Promise<void>((resolve) => clock.at(clock.now() + 20, resolve));
    Date.now = () => wall() - 3_600_000;
    try {
      await done;
    } finally {
      Date.now = wall;
    }
  });

  it('counts what has elapsed, whatever the wall clock shows', async () => {
    const wall = Date.now;
    const before = clock.elapsed();
    Date.now = () => wall() + 3_600_000;
    try {
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(clock.elapsed() - before).toBeGreaterThan(0);
      expect(clock.elapsed() - before).toBeLessThan(3_000_000);
    } finally {
      Date.now = wall;
    }
  });

  it('waits for times beyond what one timeout can hold, instead of firing at once', async () => {
    let fired = false;
    const takeBack = clock.at(clock.now() + 2 ** 33, () => {
      fired = true;
    });
    await new Promise<void>((resolve) => clock.at(clock.now() + 20, resolve));
    takeBack();
    expect(fired).toBe(false);
  });
});
