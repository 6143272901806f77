/** Who is where: which protocol, with its coordinator, acceptors and participants in which data centres. */
import type { SiteName } from '../system.js';
import { nearestRegions, ZONES_PER_REGION, type Region, type Zone } from './map.js';

export type RegionProtocol = '2pc' | '3pc' | 'paxos-commit' | 'saga';
export const REGION_PROTOCOLS: readonly RegionProtocol[] = ['2pc', '3pc', 'paxos-commit', 'saga'];

/**
 * spread  one in the coordinator's region and in each of the two nearest to it
 * away    one in each of the three regions nearest to the coordinator's, none in its own
 * home    all in the coordinator's region, one in each zone
 */
export type ParticipantPlacement = 'spread' | 'away' | 'home';
export const PARTICIPANT_PLACEMENTS: readonly ParticipantPlacement[] = ['spread', 'away', 'home'];

/** Regions with a coordinator of their own (each with its own database), and, for Paxos Commit, with an acceptor. */
export type ControlRegions = 1 | 3 | 5;
export const CONTROL_REGIONS: readonly ControlRegions[] = [1, 3, 5];

export const PARTICIPANTS = 3;

export interface Placement {
  readonly protocol: RegionProtocol;
  readonly home: Region;
  readonly control: ControlRegions;
  readonly participants: ParticipantPlacement;
}

/** Acceptors that may fail: in one region there are three, one in each zone. */
export function faultsTolerated({ control }: Placement): 1 | 2 {
  return control === 5 ? 2 : 1;
}

/** Where every site of a transaction is. `client` counts as one; it is in the coordinator's zone. */
export interface Sites {
  readonly zones: ReadonlyMap<SiteName, Zone>;
}

/**
 * @param lost a region that is down already when the client asks: it then uses the nearest coordinator that is left
 * @returns null when no coordinator is left
 */
export function sitesOf(placement: Placement, lost: Region | null = null): Sites | null {
  const { home, control, protocol } = placement;
  const coordinators = nearestRegions(home, control);
  const coordinator = coordinators.find((region) => region !== lost);
  if (coordinator === undefined) return null;
  const at = { region: coordinator, zone: 0 };
  const zones = new Map<SiteName, Zone>([['client', at], ['coordinator', at]]);
  for (let i = 0; i < PARTICIPANTS; i += 1) zones.set(`p${i}`, participantZone(placement, i));
  if (protocol === 'paxos-commit') {
    for (let j = 0; j <= 2 * faultsTolerated(placement); j += 1) zones.set(`a${j}`, acceptorZone(coordinators, j));
  }
  return { zones };
}

function participantZone({ home, participants }: Placement, i: number): Zone {
  if (participants === 'home') return { region: home, zone: i % ZONES_PER_REGION };
  const regions = nearestRegions(home, PARTICIPANTS + 1);
  return { region: regions[participants === 'spread' ? i : i + 1]!, zone: 0 };
}

function acceptorZone(coordinators: readonly Region[], j: number): Zone {
  return coordinators.length === 1 ? { region: coordinators[0]!, zone: j % ZONES_PER_REGION } : { region: coordinators[j]!, zone: 0 };
}

/** The regions whose loss can matter, home first. */
export function regionsUsed(placement: Placement): Region[] {
  const { zones } = sitesOf(placement)!;
  const regions = [...nearestRegions(placement.home, placement.control), ...[...zones.values()].map(({ region }) => region)];
  return [...new Set(regions)];
}
