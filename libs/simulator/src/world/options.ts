/** What a run takes and what it tells. */
import type { OutcomeStatus } from '#libs/protocol';
import type { SiteName, System } from '../system.js';
import type { Trace } from '../trace.js';
import type { FaultOdds } from './faults.js';
import type { FaultCounts, Latency } from './model.js';
import type { ScriptedEvent } from './script.js';

export interface RunOptions {
  readonly systems: readonly System[];
  /** When the client of each system asks; 0 for those that are not named. */
  readonly startsAtMs?: readonly number[];
  /** A whole number, 0 to 2^32 - 1. */
  readonly seed: number;
  readonly faults: FaultOdds;
  /** Pieces at each site; 100 for those that are not named. */
  readonly stock?: Readonly<Record<SiteName, number>>;
  /** Coordinator processes over the one database. Default 1. */
  readonly coordinators?: number;
  /** Requests that each client sends before it gives up. Default 5. */
  readonly patience?: number;
  /** Sites that may be lost for good, all of them at once. Default none. */
  readonly mayLose?: readonly SiteName[];
  /** Default: `faults.latencyMs` between any two sites. */
  readonly latency?: Latency;
  /** Default: `faults.flushMs`. */
  readonly flushMs?: number;
  /** What happens when, besides the faults. */
  readonly schedule?: readonly ScriptedEvent[];
  readonly trace?: Trace;
  readonly limits?: Partial<Limits>;
}

export interface Limits {
  /** Most events of a run. */
  readonly events: number;
  /** Simulated time from the last fault within which everything must end. */
  readonly endMs: number;
  /** How long the survivors of a lost site have, when some of them are blocked, before the site is brought back. */
  readonly blockedMs: number;
}

export const LIMITS: Limits = { events: 100_000, endMs: 600_000, blockedMs: 20_000 };

export interface RunResult {
  /** The property that does not hold, its name first. */
  readonly violation: string | null;
  /** All transactions have ended at all sites. */
  readonly ended: boolean;
  /** Simulated time of the end. */
  readonly atMs: number;
  readonly events: number;
  readonly messages: number;
  /** By system; null: it never began, or (after a violation) has none. */
  readonly outcomes: readonly (OutcomeStatus | null)[];
  /** The longest time for which a site held something back for a transaction whose outcome it did not know. */
  readonly longestInDoubtMs: number;
  /** From the loss of a site to its return, if a protocol could not end without it; 0: none was blocked. */
  readonly blockedMs: number;
  readonly faults: Readonly<FaultCounts>;
}
