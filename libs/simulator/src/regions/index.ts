export { nearestRegions, REGIONS, regionNamed, roundTripMs, type Region, type Zone } from './map.js';
export { type Fate, type TransactionTimes } from './outcome.js';
export { CONTROL_REGIONS, PARTICIPANT_PLACEMENTS, REGION_PROTOCOLS, type Placement, type RegionProtocol } from './placement.js';
export { placementReport, placementsOf, REGION_DEFAULTS, regionReport, type LossResult, type PlacementReport, type RegionOptions } from './report.js';
export { renderMap, renderRegions } from './render.js';
export { regionPage } from './page.js';
