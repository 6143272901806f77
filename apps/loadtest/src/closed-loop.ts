export interface ClosedLoopOptions {
  /** Each starts its next attempt when the last one has ended. */
  readonly clients: number;
  readonly seconds: number;
  /** Must not reject. */
  readonly attempt: () => Promise<void>;
  /** Ends it early: what is under way is still awaited. */
  readonly signal?: AbortSignal;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

/**
 * Resolves when every client's last attempt has ended. A closed loop measures capacity. It says nothing of queueing: a slow answer keeps its
 * client from asking, so the slower the system, the fewer see it ("coordinated omission"); for that there is the open loop.
 */
export async function runClosedLoop({ clients, seconds, attempt, signal, now = () => performance.now() }: ClosedLoopOptions): Promise<void> {
  const endAt = now() + seconds * 1000;
  const client = async (): Promise<void> => {
    while (now() < endAt && signal?.aborted !== true) await attempt();
  };
  await Promise.all(Array.from({ length: clients }, client));
}
