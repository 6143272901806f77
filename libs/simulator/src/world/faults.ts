/** What goes wrong in phase one of a run, as one object; drawn from the seed. Afterwards nothing goes wrong any more. */
import type { Random } from './random.js';

/** Odds are of one message, flush or request; rates are per simulated second of phase one; lengths are milliseconds. */
export interface FaultOdds {
  /** Until then nothing goes wrong (but for skewed clocks): for faults in the middle of a transaction that has begun well. */
  readonly fromMs: number;
  /** From then on: length of phase one. */
  readonly faultMs: number;
  /** Of a message from one site to another, in both phases. */
  readonly latencyMs: number;
  /** From a step to its durable write, about; in both phases. */
  readonly flushMs: number;

  // ------------------------------------------------------------ network
  readonly loss: number;
  readonly duplicate: number;
  /** Mean of what is added to the latency of each message alone, so that messages overtake each other. */
  readonly spreadMs: number;
  /** Rate at which the sites fall into two groups that do not hear each other. */
  readonly partitions: number;
  /** Share of the partitions in which one of the groups still hears the other. */
  readonly oneWay: number;
  readonly partitionMs: number;

  // ------------------------------------------------------------ processes
  readonly crashBeforeFlush: number;
  readonly crashAfterFlush: number;
  readonly crashBetweenSends: number;
  /** Rate of crashes at any moment. */
  readonly crashes: number;
  /** Mean time until a crashed process is back. */
  readonly restartMs: number;
  /** Odds that each site that may be lost for good is. */
  readonly loseSite: number;
  /** Odds that a flush fails as a whole: the process goes on from its rows and gets the messages again. */
  readonly flushFailure: number;
  /** Rate at which a process becomes slow, its writes and the way to it. */
  readonly slow: number;
  readonly slowFactor: number;
  readonly slowMs: number;
  /** The clocks are wrong by up to this from the start, and stay so. */
  readonly skewMs: number;
  /** Rate at which the clock of a process jumps, forwards or back, to where it is wrong by up to this more than from the start. */
  readonly clockJumps: number;
  readonly clockJumpMs: number;
  /** Odds that a timer comes early, at any moment before its time: its clock runs too fast. Rivals stand up against each other then. */
  readonly hasty: number;

  // ------------------------------------------------------------ ownership
  /** Rate at which the shard is taken over while its owner lives. */
  readonly takeOvers: number;
  /** Mean time until a replaced owner hears of it; 0: at once. */
  readonly wrongOwnerMs: number;
  /** Odds that a message goes to a replaced owner that does not know. */
  readonly stray: number;

  // ------------------------------------------------------------ clients and operators
  /** Odds that a client's repeated request goes to any coordinator process instead of the owner. */
  readonly retryElsewhere: number;
  /** Odds that the client of a transaction cancels it. */
  readonly cancel: number;
  /** Rate of operator commands, each to a transaction of its own. */
  readonly commands: number;
}

export type FaultKey = keyof FaultOdds;

export const NO_FAULTS: FaultOdds = {
  fromMs: 0, faultMs: 0, latencyMs: 5, flushMs: 2, loss: 0, duplicate: 0, spreadMs: 0, partitions: 0, oneWay: 0, partitionMs: 1000,
  crashBeforeFlush: 0, crashAfterFlush: 0, crashBetweenSends: 0, crashes: 0, restartMs: 500, loseSite: 0, flushFailure: 0, slow: 0, slowFactor: 20, slowMs: 1000,
  skewMs: 0, clockJumps: 0, clockJumpMs: 1000, hasty: 0, takeOvers: 0, wrongOwnerMs: 0, stray: 0, retryElsewhere: 0, cancel: 0, commands: 0,
};

/**
 * Each of these is absent from most runs, so that every fault also comes alone; with how strong it is when it is there. What is a rate
 * is here a number for the whole of phase one, so that short phases, which are about as long as a transaction, have faults too.
 */
const KINDS: readonly (readonly [FaultKey, readonly number[], 'rate'?])[] = [
  ['loss', [0.01, 0.05, 0.2, 0.5]], ['duplicate', [0.02, 0.1, 0.4]], ['spreadMs', [5, 50, 500, 1500]], ['partitions', [1, 3, 10], 'rate'],
  ['crashBeforeFlush', [0.01, 0.05, 0.15]], ['crashAfterFlush', [0.01, 0.05, 0.15]], ['crashBetweenSends', [0.02, 0.1, 0.3]], ['crashes', [1, 3, 10], 'rate'],
  ['loseSite', [0.3, 0.8]], ['flushFailure', [0.02, 0.1, 0.3]], ['slow', [1, 3, 10], 'rate'], ['skewMs', [50, 1000, 20_000]], ['clockJumps', [1, 3, 10], 'rate'], ['hasty', [0.2, 0.6, 1]],
  ['takeOvers', [1, 3, 10], 'rate'], ['retryElsewhere', [0.5, 1]], ['cancel', [0.2, 0.6]], ['commands', [1, 3, 10], 'rate'],
];

/** No fault at all in some runs, a single kind in many, several in most. */
export function drawFaults(random: Random): FaultOdds {
  const siege = random.chance(SIEGES);
  const faultMs = random.pick(siege ? [3000, 10_000, 30_000] : [100, 300, 1000, 3000, 10_000]);
  const latencyMs = random.pick([1, 5, 20, 80]);
  const flushMs = random.pick([0, 1, 2, 10]);
  const drawn: { -readonly [K in FaultKey]: number } = {
    ...NO_FAULTS,
    fromMs: random.chance(0.5) ? 0 : Math.round(random.next() * WELL_BEGUN * (latencyMs + flushMs)), faultMs, latencyMs, flushMs,
    oneWay: random.pick([0, 0.5, 1]), partitionMs: faultMs * random.pick(SHARES), restartMs: faultMs * random.pick(SHARES),
    slowFactor: random.pick([5, 50]), slowMs: faultMs * random.pick(SHARES), clockJumpMs: random.pick([100, 2000, 30_000]),
    wrongOwnerMs: faultMs * random.pick([0, 0.1, 0.5, 1]), stray: random.pick([0, 0.3, 0.6]),
  };
  const mode = random.next();
  const intensity = random.pick([0.15, 0.3, 0.5]);
  const alone = mode < 0.3 ? random.pick(KINDS)[0] : null;
  for (const [key, strengths, rate] of KINDS) {
    const strength = random.pick(strengths);
    const among = random.chance(intensity);
    if (mode >= CALM_RUNS && (alone === null ? among : key === alone)) drawn[key] = rate === undefined ? strength : (strength * 1000) / faultMs;
  }
  return siege ? { ...drawn, ...drawSiege(random, drawn) } : drawn;
}

/**
 * The votes get through, then everything is late, lost or alone: several sites stand up as resolvers or leaders one against the other, and
 * meet old messages of each other. Rules about promises and ballots are about these runs, which drawing each fault for itself makes rarely.
 */
function drawSiege(random: Random, { faultMs, latencyMs, flushMs }: FaultOdds): Partial<FaultOdds> {
  return {
    fromMs: Math.round((latencyMs + flushMs) * (2 + 3 * random.next())), loss: random.pick([0.1, 0.3, 0.5]), spreadMs: random.pick([50, 500, 3000]),
    hasty: random.pick([0.6, 1]), duplicate: random.pick([0, 0.3]), crashes: (random.pick([0, 5, 20]) * 1000) / faultMs,
    crashBetweenSends: random.pick([0, 0.1, 0.3]), restartMs: random.pick([20, 100, 1000]), partitions: (random.pick([0, 5]) * 1000) / faultMs,
  };
}

/** Share of the runs. */
const SIEGES = 0.2;

/** Message delays of which at most that many pass before the first fault: about as many as a transaction takes. */
const WELL_BEGUN = 9;
/** Lengths as shares of phase one. */
const SHARES = [0.03, 0.15, 0.5] as const;
/** Share of the runs in which nothing goes wrong. */
const CALM_RUNS = 0.05;
