export { CoordinatorDriver, type CoordinatorDeps } from './driver.js';
export type { ActInput } from './protocols/protocol.js';
export { storedView } from './view.js';
export {
  COORDINATOR_DEFAULTS, type BeginRequest, type BeginResult, type CoordinatorObserver, type CoordinatorOptions, type CoordinatorStats, type FlushStats, type Glimpse, type ParticipantLoad, type ShardStatus,
} from './types.js';
export { GIVEN_UP } from './given-up.js';
