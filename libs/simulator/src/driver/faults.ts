import type { Random } from './random.js';

/** What goes wrong in phase one, drawn from the seed. Odds are per call, per message or per rebalance; counts are per run. */
export interface DriverFaults {
  /** Length of phase one, milliseconds. */
  readonly faultyMs: number;
  /** A request is refused and had no effect. */
  readonly refuse: number;
  /** A request had its effect, and its answer is lost: an error after the commit. */
  readonly loseAnswer: number;
  /** A request takes up to `slowMs`. */
  readonly slow: number;
  readonly slowMs: number;
  /** The process dies when its request arrives: half of the time before the effect, half of the time after it. */
  readonly crashInCall: number;
  /** A send fails, and any part of its records has left. */
  readonly tornSend: number;
  /** A record comes again, later, behind what followed it (a producer's repetition). */
  readonly duplicate: number;
  /** A member hears of a rebalance only after up to `strayMs` and goes on with partitions that have new owners. */
  readonly stray: number;
  readonly strayMs: number;
  /** A branch's own database transaction breaks at the flush by what its handler wrote. */
  readonly poison: number;
  /** A commit or abort handler throws. */
  readonly handlerFails: number;
  readonly crashes: number;
  readonly stops: number;
  readonly rebalances: number;
  /** A database or the broker is out of reach for a while. */
  readonly outages: number;
  readonly outageMs: number;
  /** Clocks of single processes jump, forwards or back, by up to `clockJumpMs`. */
  readonly clockJumps: number;
  readonly clockJumpMs: number;
  /** Clocks differ from each other by up to this, from the start. */
  readonly skewMs: number;
}

export const CALM: DriverFaults = {
  faultyMs: 2_000, refuse: 0, loseAnswer: 0, slow: 0, slowMs: 0, crashInCall: 0, tornSend: 0, duplicate: 0, stray: 0, strayMs: 0, poison: 0, handlerFails: 0,
  crashes: 0, stops: 0, rebalances: 0, outages: 0, outageMs: 0, clockJumps: 0, clockJumpMs: 0, skewMs: 0,
};

/** Every kind of fault is absent from some runs, rare in some and frequent in others. */
export function drawFaults(random: Random): DriverFaults {
  const odds = (often: number): number => random.pick([0, 0, often / 8, often]);
  const count = (most: number): number => (random.chance(0.4) ? 0 : random.below(most + 1));
  return {
    faultyMs: random.between(1_000, 8_000),
    refuse: odds(0.15), loseAnswer: odds(0.15), slow: odds(0.08), slowMs: random.pick([100, 2_000, 8_000]), crashInCall: odds(0.02),
    tornSend: odds(0.2), duplicate: odds(0.2), stray: odds(0.8), strayMs: random.pick([200, 2_000, 5_000]), poison: odds(0.1), handlerFails: odds(0.2),
    crashes: count(4), stops: count(2), rebalances: count(4), outages: count(3), outageMs: random.pick([200, 2_000, 5_000]),
    clockJumps: count(3), clockJumpMs: random.pick([100, 5_000, 30_000]), skewMs: random.pick([0, 100, 5_000]),
  };
}
