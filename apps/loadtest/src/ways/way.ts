import type { Ending } from '../contract.js';
import type { PlannedCheckout } from '../workload.js';

/** How one attempt ended, as its client learnt it. */
export interface Attempted {
  readonly ending: Exclude<Ending, 'shed'>;
  /** Why not committed, by code. */
  readonly reason: string | null;
  /** Null: the client was not told, or (of a local transaction) there is none. */
  readonly txid: string | null;
  /** committed, aborted, completed or compensated, as the coordinator says it; null where nothing was decided, or locally. */
  readonly outcome: string | null;
}

/** A way for a checkout to be made. */
export interface OpenWay {
  /** May reject only by a fault of its own: whatever befalls the request is an ending. */
  attempt(planned: PlannedCheckout): Promise<Attempted>;
  /** What is under way ends as lost. */
  close(): Promise<void>;
}

export function refused(reason: string): Attempted {
  return { ending: 'refused', reason, txid: null, outcome: null };
}

export function unknown(reason: string, txid: string | null = null): Attempted {
  return { ending: 'unknown', reason, txid, outcome: null };
}
