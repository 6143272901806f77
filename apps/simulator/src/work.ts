/** A slice of a campaign, and how slices add up; the same in this thread and in others. */
import { PROTOCOL_NAMES } from '#libs/protocol';
import {
  mergeCampaigns, mergeDriverSeeds, protocolUnderTest, runDriverSeeds, runSeeds, type CampaignResult, type DriverRunOptions, type DriverSeedsResult, type Overrides,
  type ProtocolUnderTest,
} from '#libs/simulator';
import { factoryOf, mutantNamed } from './mutant.js';
import { readFaults, type Job } from './simulate-options.js';

/** What both kinds of campaign tell. */
export type SliceResult = CampaignResult | DriverSeedsResult;

export interface Slice {
  readonly firstSeed: number;
  readonly count: number;
}

export function underTest({ protocol, mutant, nodes, f }: Job): ProtocolUnderTest {
  return protocolUnderTest(protocol, mutant === null ? undefined : factoryOf(mutantNamed(protocol, mutant)), { ...(nodes !== null && { branches: nodes }), ...(f !== null && { f }) });
}

export function overridesOf({ faults, transactions, coordinators }: Job): Overrides {
  return { faults: readFaults(false, faults), ...(transactions !== null && { transactions }), ...(coordinators !== null && { coordinators }) };
}

export function driverOverridesOf({ protocol, faults, nodes, transactions, coordinators }: Job): Omit<DriverRunOptions, 'seed'> {
  return {
    protocols: protocol === 'mixed' ? PROTOCOL_NAMES : PROTOCOL_NAMES.filter((name) => name === protocol),
    calm: faults.trim() === 'none', faults: readFaults(true, faults),
    ...(nodes !== null && { participants: nodes }), ...(transactions !== null && { transactions }), ...(coordinators !== null && { coordinators }),
  };
}

export function runSlice(job: Job, { firstSeed, count }: Slice): SliceResult | Promise<SliceResult> {
  if (job.driver) return runDriverSeeds(firstSeed, count, driverOverridesOf(job));
  return runSeeds(underTest(job), firstSeed, count, overridesOf(job), job.keepGoing ? Infinity : 1);
}

export function merge(one: SliceResult, other: SliceResult): SliceResult {
  if ('slowestHealing' in one && 'slowestHealing' in other) return mergeDriverSeeds(one, other);
  return mergeCampaigns(one as CampaignResult, other as CampaignResult);
}
