import { Gather } from './gather.js';
import { FakeClock, turns, until } from './testing/fake-clock.js';

describe('Gather', () => {
  const clock = new FakeClock();

  /** A worker whose calls end when a test says so. */
  function controlled() {
    const calls: { readonly batch: readonly number[]; end(): void; fail(error: Error): void }[] = [];
    const work = (batch: readonly number[]): Promise<void> =>
      new Promise((end, fail) => {
        calls.push({ batch, end, fail });
      });
    return { calls, work };
  }

  it('starts at once when idle, with everything of the same turn', async () => {
    const { calls, work } = controlled();
    const gather = new Gather({ clock, maxBatch: 100, work });
    for (let i = 0; i < 5; i++) gather.add(i);
    await until(() => calls.length === 1);
    expect(calls[0]!.batch).toEqual([0, 1, 2, 3, 4]);
    expect(clock.pending).toBe(0);
    calls[0]!.end();
    await gather.idle();
  });

  it('works on one batch at a time, and what comes meanwhile is the next one, cut at maxBatch', async () => {
    const { calls, work } = controlled();
    const gather = new Gather({ clock, maxBatch: 3, work });
    gather.add(0);
    await until(() => calls.length === 1);
    for (let i = 1; i <= 5; i++) gather.add(i);
    await turns();
    expect(calls).toHaveLength(1);
    for (let i = 0; i < 3; i++) {
      calls[i]!.end();
      await turns(2);
    }
    expect(calls.map((call) => call.batch)).toEqual([[0], [1, 2, 3], [4, 5]]);
    await gather.idle();
    expect(gather.busy).toBe(false);
  });

  it('repeats a failed batch when the hook says, or gives it up', async () => {
    const { calls, work } = controlled();
    const gather = new Gather({ clock, maxBatch: 3, work, onError: (_error, attempt) => (attempt === 0 ? 50 : null) });
    gather.add(1);
    await until(() => calls.length === 1);
    calls[0]!.fail(new Error('passing'));
    await clock.advance(40);
    expect(calls).toHaveLength(1);
    await clock.advance(20);
    expect(calls.map((call) => call.batch)).toEqual([[1], [1]]);
    calls[1]!.fail(new Error('again'));
    await gather.idle();
    expect(calls).toHaveLength(2);
  });

  it('ends a retry when it is closed', async () => {
    const { calls, work } = controlled();
    const gather = new Gather({ clock, maxBatch: 3, work });
    gather.add(1);
    await until(() => calls.length === 1);
    calls[0]!.fail(new Error('for ever'));
    await turns();
    await gather.close();
    expect(calls).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
