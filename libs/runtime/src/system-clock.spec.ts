import { SystemClock } from './system-clock.js';

describe('SystemClock', () => {
  const clock = new SystemClock();

  it('never fires early', async () => {
    for (let i = 0; i < 20; i++) {
      const atMs = clock.now() + 3;
      await new Promise<void>((resolve) => clock.at(atMs, resolve));
      expect(clock.now()).toBeGreaterThanOrEqual(atMs);
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
