export { Random } from './random.js';
export { drawFaults, NO_FAULTS, type FaultKey, type FaultOdds } from './faults.js';
export { FAULT_RANGES, FaultOptionError, parseFaults } from './parse-faults.js';
export type { FaultCounts, Latency } from './model.js';
export { LIMITS, type Limits, type RunOptions, type RunResult } from './options.js';
export type { ScriptedEvent } from './script.js';
export { simulate } from './world.js';
export { drawRun, type Overrides } from './draw.js';
export {
  PROTOCOLS, paxosUnderTest, protocolUnderTest, sagaUnderTest, textbookUnderTest, threePhaseUnderTest, twoPhaseUnderTest,
  type DrawnTransaction, type Factory, type ProtocolKey, type ProtocolUnderTest, type Sizes,
} from './protocols.js';
export { mergeCampaigns, runSeed, runSeeds, type CampaignResult, type SeedResult } from './campaign.js';
