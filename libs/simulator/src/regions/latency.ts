/** How long a message takes between two data centres, and how long a flush does. */
import type { Random } from '../world/random.js';
import { roundTripMs, type Zone } from './map.js';

/**
 * Long-distance paths are steady with a tail: half of all messages take at most 2 % longer than the map says, one in a hundred a fifth longer.
 */
const JITTER_MEDIAN = 0.02;
const JITTER_SIGMA = 1;

/** A forced write to a replicated volume of a cloud: median, and the same kind of tail. */
const FLUSH_MEDIAN_MS = 1.5;
const FLUSH_SIGMA = 0.4;

/** Half of the map's round trip, and jitter on top: never faster than the map. */
export function oneWayMs(from: Zone, to: Zone, random: Random): number {
  return (roundTripMs(from, to) / 2) * (1 + JITTER_MEDIAN * logNormal(random, JITTER_SIGMA));
}

export function flushMs(random: Random): number {
  return FLUSH_MEDIAN_MS * logNormal(random, FLUSH_SIGMA);
}

/** Median 1 (Box and Muller 1958). */
function logNormal(random: Random, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return Math.exp(sigma * normal);
}
