import { setTimeout as sleep } from 'node:timers/promises';
import { runClosedLoop } from './closed-loop.js';
import type { Assignment, Progress, Result } from './contract.js';
import { runOpenLoop } from './open-loop.js';
import { Recorder } from './recorder.js';
import { shareOf } from './share.js';
import { type Attempted, type OpenWay, unknown } from './ways/way.js';
import { plannedCheckouts } from './workload.js';

export interface RunHooks {
  readonly onSecond: (progress: Progress) => void;
  /** A fault of the generator itself; the attempt counts as unknown. */
  readonly onFault: (error: unknown) => void;
  /** Ends the arrivals early. */
  readonly signal: AbortSignal;
  /** So many seconds of warm-up will do. */
  readonly measureAfter?: Promise<number>;
}

/** Unanswered requests of a worker beyond which an arrival is shed. */
const MOST_OUTSTANDING = 20_000;
/** Often enough that a line for a second comes soon after it. */
const TICK_MS = 100;
/** How long a run that was stopped waits for the answers under way. */
const GRACE_MS = 2_000;

/** Makes one worker's share of the clients or arrivals for the warm-up and the measured time, and waits for the last answers. The warm-up of a closed loop is as long as it may be. */
export async function run(assignment: Assignment, way: OpenWay, { onSecond, onFault, signal, measureAfter }: RunHooks): Promise<Result> {
  const { loop, mostWarmupSeconds, seconds } = assignment;
  const recorder = new Recorder({ loop: loop.kind, warmupSeconds: mostWarmupSeconds, seconds, onSecond });
  let warmupSeconds = mostWarmupSeconds;
  const plan = plannedCheckouts(assignment);
  const start = performance.now();
  const now = (): number => performance.now() - start;
  const attempt = async (dueMs: number): Promise<void> => {
    recorder.began(dueMs, now());
    recorder.ended(await attempted(way, plan(), onFault), dueMs, now());
  };
  void measureAfter?.then((told) => { warmupSeconds = recorder.measureAfter(told, now()); });
  const ticker = setInterval(() => recorder.advance(now()), TICK_MS);
  const stopped = onceAborted(signal).then(() => {
    recorder.cutShort(now());
    return sleep(GRACE_MS, undefined, { ref: false });
  });
  try {
    await Promise.race([offer(assignment, () => warmupSeconds + seconds, attempt, (dueMs) => recorder.shed(dueMs), now, signal), stopped]);
    return recorder.result(now());
  } finally {
    clearInterval(ticker);
  }
}

async function offer({ loop, worker, workers }: Assignment, seconds: () => number, attempt: (dueMs: number) => Promise<void>, shed: (dueMs: number) => void, now: () => number, signal: AbortSignal): Promise<void> {
  if (loop.kind === 'closed') return runClosedLoop({ clients: shareOf(loop.clients, worker, workers), seconds: seconds(), attempt: () => attempt(now()), signal, now });
  const { settled } = await runOpenLoop({
    ratePerSecond: loop.ratePerSecond / workers, seconds, maxOutstanding: MOST_OUTSTANDING, signal, now,
    attempt: ({ intendedMs }) => attempt(intendedMs), onShed: ({ intendedMs }) => shed(intendedMs),
  });
  await settled;
}

async function attempted(way: OpenWay, planned: Parameters<OpenWay['attempt']>[0], onFault: (error: unknown) => void): Promise<Attempted> {
  try {
    return await way.attempt(planned);
  } catch (error) {
    onFault(error);
    return unknown('GENERATOR_FAULT');
  }
}

function onceAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
