import { describe, expect, it } from '@jest/globals';
import type { Assignment, Progress } from './contract.js';
import { run } from './run.js';
import type { Attempted, OpenWay } from './ways/way.js';
import type { PlannedCheckout } from './workload.js';

const ASSIGNMENT: Assignment = {
  way: 'sdk', loop: { kind: 'open', ratePerSecond: 1_000 }, warmupSeconds: 0, mostWarmupSeconds: 0, seconds: 0.05, batchSize: 1, worker: 0, workers: 1, idPrefix: 'r',
  workload: { protocol: '2pc', participants: 3, refusalShare: 0, skew: 'uniform', payloadBytes: 0, seed: 1 },
  target: { coordinatorUrls: ['http://127.0.0.1:1'], token: '', localDatabaseUrl: null, localHttpUrl: null, localPool: 1 },
};
const COMMITTED: Attempted = { ending: 'committed', reason: null, txid: 't', outcome: 'committed' };

function way(attempt: (planned: PlannedCheckout) => Promise<Attempted>): OpenWay {
  return { attempt, close: async () => undefined };
}

function hooks(signal = new AbortController().signal): { onSecond: (progress: Progress) => void; onFault: (error: unknown) => void; signal: AbortSignal; faults: unknown[] } {
  const faults: unknown[] = [];
  return { onSecond: () => undefined, onFault: (error) => { faults.push(error); }, signal, faults };
}

describe('a run', () => {
  it('of an open loop asks for each arrival of its share, and counts it', async () => {
    const orders: string[] = [];
    const result = await run({ ...ASSIGNMENT, workers: 2, worker: 1 }, way(async ({ checkout }) => { orders.push(checkout.orderId); return COMMITTED; }), hooks());
    expect(result.endings).toEqual({ committed: 25, aborted: 0, refused: 0, unknown: 0, shed: 0 });
    expect(orders.slice(0, 2)).toEqual(['r-1-000000000', 'r-1-000000001']);
    expect(result.seconds).toBe(0.05);
  });

  it('of an open loop measures as soon as it is told that it is warm, and as long as ever', async () => {
    const seen: number[] = [];
    const result = await run({ ...ASSIGNMENT, warmupSeconds: 1, mostWarmupSeconds: 60, loop: { kind: 'open', ratePerSecond: 100 }, seconds: 1 }, way(async () => COMMITTED), { ...hooks(), onSecond: ({ second }) => { seen.push(second); }, measureAfter: Promise.resolve(1) });
    expect(seen.slice(0, 2)).toEqual([-1, 0]);
    expect([result.endings.committed, result.seconds]).toEqual([100, 1]);
  });

  it('of a closed loop has its share of the clients under way', async () => {
    const stop = new AbortController();
    let open = 0;
    let most = 0;
    let count = 0;
    const attempt = async (): Promise<Attempted> => {
      most = Math.max(most, ++open);
      if (++count === 20) stop.abort();
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      return COMMITTED;
    };
    await run({ ...ASSIGNMENT, seconds: 3600, loop: { kind: 'closed', clients: 7 }, workers: 2 }, way(attempt), hooks(stop.signal));
    expect(most).toBe(4);
  });

  it('counts a fault of its own as unknown, and says so', async () => {
    const heard = hooks();
    const result = await run(ASSIGNMENT, way(async () => { throw new TypeError('a bug'); }), heard);
    expect(result.endings.unknown).toBe(50);
    expect(result.reasons).toEqual({ GENERATOR_FAULT: 50 });
    expect(heard.faults[0]).toMatchObject({ message: 'a bug' });
  });

  it('that is stopped tells what it has, and that it does not know of what was not answered', async () => {
    const stop = new AbortController();
    let n = 0;
    const attempt = (): Promise<Attempted> => {
      if (++n === 3) stop.abort();
      return n === 1 ? Promise.resolve(COMMITTED) : new Promise(() => undefined);
    };
    const result = await run({ ...ASSIGNMENT, seconds: 3600 }, way(attempt), hooks(stop.signal));
    expect(result.endings).toMatchObject({ committed: 1, unknown: 2 });
    expect(result.seconds).toBeLessThan(3600);
  });
});
