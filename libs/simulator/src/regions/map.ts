/**
 * Round-trip times between regions of the large public clouds. Approximate: of the order that public probes of AWS reported around 2024,
 * rounded to 5 ms. They move by a few per cent from month to month, and differ by about a tenth between clouds: for the same pairs of cities
 * IBM Cloud's published averages of autumn 2024 are within 12 % (docs/regions.md has them side by side). For reasoning, not for contracts.
 */
import { RegionError } from './region-error.js';

export const REGIONS = ['frankfurt', 'ireland', 'virginia', 'oregon', 'singapore', 'tokyo', 'sydney', 'sao-paulo'] as const;
export type Region = (typeof REGIONS)[number];

/** Each row holds the round trips to the regions before it in REGIONS. Milliseconds. */
const ROUND_TRIPS_MS: readonly (readonly number[])[] = [
  [],
  [25],
  [90, 70],
  [140, 120, 65],
  [160, 175, 215, 165],
  [225, 205, 150, 95, 70],
  [255, 260, 200, 140, 95, 105],
  [205, 180, 115, 175, 325, 255, 310],
];

export const ZONES_PER_REGION = 3;
/** Between zones of a region, and within a zone. Measured minima between zones of AWS regions are 0.25 to 3.4 ms. */
export const ZONE_ROUND_TRIP_MS = 1;
export const WITHIN_ZONE_ROUND_TRIP_MS = 0.3;

/** A data centre. */
export interface Zone {
  readonly region: Region;
  readonly zone: number;
}

export function roundTripMs(a: Zone, b: Zone): number {
  if (a.region === b.region) return a.zone === b.zone ? WITHIN_ZONE_ROUND_TRIP_MS : ZONE_ROUND_TRIP_MS;
  const [i, j] = [REGIONS.indexOf(a.region), REGIONS.indexOf(b.region)];
  return ROUND_TRIPS_MS[Math.max(i, j)]![Math.min(i, j)]!;
}

/** `count` regions: the given one and those nearest to it, nearest first. */
export function nearestRegions(home: Region, count: number): Region[] {
  const distance = (region: Region): number => (region === home ? 0 : roundTripMs({ region: home, zone: 0 }, { region, zone: 0 }));
  return [...REGIONS].sort((a, b) => distance(a) - distance(b)).slice(0, count);
}

export function regionNamed(text: string): Region {
  const region = REGIONS.find((name) => name === text);
  if (region === undefined) throw new RegionError(`unknown region "${text}"; known are ${REGIONS.join(', ')}`);
  return region;
}
