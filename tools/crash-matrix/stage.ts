import type { Cluster } from '../../test/support/cluster.ts';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import type { Traffic } from './traffic.ts';

/** Some transactions, most of them at once, and what happens to the processes meanwhile. May be played several times. */
export interface Scenario {
  readonly name: string;
  readonly protocols: readonly ProtocolName[];
  /** Resolves when nothing more is done to the processes; clients may still wait then. */
  play(stage: Stage): Promise<void>;
}

export interface Stage {
  readonly cluster: Cluster;
  readonly protocol: ProtocolName;
  readonly traffic: Traffic;
}

/** Long enough for a process to be started again in between, short enough to be waited for when it is not. */
export const TIMEOUT_MS = 4_000;
export const SHORT_TIMEOUT_MS = 300;
/** What a scenario waits for may never come when a process has just killed itself: then it goes on. */
export const PATIENCE_MS = 3_000;
/** The same where it takes elections, or the coming back of a process. */
export const RESOLVED_MS = 8_000;
