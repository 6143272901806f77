import type { HttpLoad } from './http-load.ts';

/** Clients in a closed loop: doubled until that brings less than `WORTHWHILE` times as much. Few of them wait for each other's batches. */
const FIRST_CLIENTS = 64;
const MOST_CLIENTS = 2_048;
const WORTHWHILE = 1.1;
const WARM_UP_SECONDS = 15;
export const MEASURE_SECONDS = 10;

export interface Capacity {
  readonly clients: number;
  /** Outcomes a second. */
  readonly perSecond: number;
}

/** What can be done, by as many clients as that takes; nobody is refused then. */
export async function measureCapacity(load: HttpLoad, next: () => unknown, log: (line: string) => void, signal: AbortSignal): Promise<Capacity> {
  log(`warming up for ${WARM_UP_SECONDS} s, then measuring`);
  await load.capacity(FIRST_CLIENTS, WARM_UP_SECONDS, next, signal);
  return findCapacity((count) => load.capacity(count, MEASURE_SECONDS, next, signal), log);
}

/** @param measure outcomes a second of so many clients. @returns the most that was seen, and the number of clients that it took */
export async function findCapacity(measure: (clients: number) => Promise<number>, log: (line: string) => void): Promise<Capacity> {
  let best = { clients: FIRST_CLIENTS, perSecond: 0 };
  for (let clients = FIRST_CLIENTS; clients <= MOST_CLIENTS; clients *= 2) {
    const perSecond = await measure(clients);
    log(`${clients} clients: ${perSecond.toFixed(0)}/s`);
    const isWorthwhile = perSecond >= best.perSecond * WORTHWHILE;
    if (perSecond > best.perSecond) best = { clients, perSecond };
    if (!isWorthwhile) break;
  }
  return best;
}
