import { COORDINATOR_DEFAULTS, DEFAULT_PARTICIPANT_OPTIONS, type CoordinatorOptions, type ParticipantOptions } from '#libs/runtime';
import type { ParticipantConfig } from '#libs/protocol';
import type { Random } from './random.js';

/** How the drivers of one run are set up. */
export interface Tuning {
  readonly coordinator: Omit<CoordinatorOptions, 'instance' | 'acceptors'>;
  readonly participant: Omit<ParticipantOptions, 'subscribe'>;
  readonly machine: Omit<ParticipantConfig, 'name'>;
}

/**
 * Settings that bring out what defaults would hide: batches, queues and pages so small that few transactions fill them, and waits short
 * enough for many of them to fit into one run.
 */
export function drawTuning(random: Random, partitions: number): Tuning {
  const { acceptors: _, ...defaults } = COORDINATOR_DEFAULTS;
  return {
    coordinator: {
      ...defaults,
      maxInFlight: random.pick([3, 100]),
      lazyMs: random.pick([1, 5, 200]),
      maxBatch: random.pick([1, 2, 1_000]),
      lanes: random.pick([1, 2]),
      resendAfterMs: 500,
      maxResendIntervalMs: 5_000,
      storeFaultGraceMs: random.pick([300, 1_000]),
      lingerMs: random.pick([50, 2_000]),
      lingerMax: random.pick([1, 1_000]),
      drainMs: 1_000,
      fencedRetryMs: random.pick([500, 1_500]),
    },
    participant: {
      ...DEFAULT_PARTICIPANT_OPTIONS,
      partitions,
      lanes: random.pick([1, 2]),
      maxBatch: random.pick([1, 3, 1_000]),
      maxQueued: random.pick([1, 4, 4_000]),
      park: { firstMs: 100, maxMs: 5_000 },
      drainMs: 1_000,
      recoveryPage: random.pick([1, 3, 1_000]),
      sweepEveryMs: 10_000,
    },
    machine: { inquireAfterMs: random.pick([200, 1_000]), maxInquireIntervalMs: 5_000, askPeersAfterInquiries: random.pick([1, 3]) },
  };
}
