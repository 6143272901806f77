export * from './costs/index.js';
export * from './regions/index.js';
export * from './world/index.js';
export * from './mutants/index.js';
export type { SiteName, System } from './system.js';
export type { TraceEvent } from './trace.js';
export { recorder } from './narrate.js';
export { transcript } from './transcript.js';
export { page, type PageRun } from './page/page.js';
export { check, type CheckResult, type Progress as CheckProgress } from './checker/check.js';
export { PRESETS as CHECK_PRESETS, type Preset as CheckPreset } from './checker/presets.js';
export { BoundsError, DEFAULT_BOUNDS, type Bounds } from './checker/bounds.js';
export {
  atomicTransaction, CHECKED_PROTOCOLS, checkedSystem, CheckedSystemError, paxosTransaction, sagaTransaction, type CheckedOptions, type CheckedProtocol,
} from './checker/systems.js';
export { runDriverSeeds, traceDriverSeed, type DriverRunOptions, type DriverSeedsResult } from './driver/run.js';
export type { DriverFaults } from './driver/faults.js';
export { mergeDriverSeeds } from './driver/merge.js';
export { parseDriverFaults } from './driver/parse-faults.js';
