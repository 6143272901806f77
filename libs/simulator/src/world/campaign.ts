/** Many runs, one for each seed, and what they came to. */
import type { Trace } from '../trace.js';
import { drawRun, type Overrides } from './draw.js';
import { noFaultCounts, type FaultCounts } from './model.js';
import type { RunResult } from './options.js';
import type { ProtocolUnderTest } from './protocols.js';
import { simulate } from './world.js';

export interface SeedResult extends RunResult {
  readonly seed: number;
}

/** The run of a seed: always the same for the same arguments. */
export function runSeed(protocol: ProtocolUnderTest, seed: number, overrides: Overrides = {}, trace?: Trace): SeedResult {
  const options = drawRun(protocol, seed, overrides);
  return { seed, ...simulate(trace === undefined ? options : { ...options, trace }) };
}

export interface CampaignResult {
  readonly runs: number;
  /** In the order of their seeds. */
  readonly violations: readonly { readonly seed: number; readonly text: string }[];
  readonly transactions: number;
  readonly committed: number;
  readonly aborted: number;
  /** Transactions that never began, or whose outcome nobody knows any more. */
  readonly withoutOutcome: number;
  readonly events: number;
  readonly messages: number;
  readonly longestInDoubtMs: number;
  /** Runs in which a transaction could not end until a lost site was back. */
  readonly blocked: number;
  readonly longestBlockedMs: number;
  readonly faults: Readonly<FaultCounts>;
}

type Sums = { -readonly [K in Exclude<keyof CampaignResult, 'violations' | 'faults'>]: number };

/**
 * Runs the seeds from `firstSeed` on; those after 2^32 - 1 begin again at 0.
 * @param mostViolations ends the campaign early
 */
export function runSeeds(protocol: ProtocolUnderTest, firstSeed: number, count: number, overrides: Overrides = {}, mostViolations = 10): CampaignResult {
  const sums: Sums = {
    runs: 0, transactions: 0, committed: 0, aborted: 0, withoutOutcome: 0, events: 0, messages: 0, longestInDoubtMs: 0, blocked: 0, longestBlockedMs: 0,
  };
  const faults = noFaultCounts();
  const violations: { readonly seed: number; readonly text: string }[] = [];
  for (let i = 0; i < count && violations.length < mostViolations; i++) {
    const result = runSeed(protocol, (firstSeed + i) % 0x1_0000_0000, overrides);
    add(sums, faults, result);
    if (result.violation !== null) violations.push({ seed: result.seed, text: result.violation });
  }
  return { ...sums, violations, faults };
}

function add(sums: Sums, faults: FaultCounts, result: SeedResult): void {
  sums.runs += 1;
  sums.events += result.events;
  sums.messages += result.messages;
  for (const outcome of result.outcomes) {
    sums.transactions += 1;
    if (outcome === 'committed') sums.committed += 1;
    else if (outcome === 'aborted') sums.aborted += 1;
    else sums.withoutOutcome += 1;
  }
  sums.longestInDoubtMs = Math.max(sums.longestInDoubtMs, result.longestInDoubtMs);
  if (result.blockedMs > 0) sums.blocked += 1;
  sums.longestBlockedMs = Math.max(sums.longestBlockedMs, result.blockedMs);
  for (const kind of Object.keys(faults) as (keyof FaultCounts)[]) faults[kind] += result.faults[kind];
}

/** The campaign of one slice after the other, as if it had been one. */
export function mergeCampaigns(one: CampaignResult, other: CampaignResult): CampaignResult {
  const faults = noFaultCounts();
  for (const kind of Object.keys(faults) as (keyof FaultCounts)[]) faults[kind] = one.faults[kind] + other.faults[kind];
  return {
    runs: one.runs + other.runs, violations: [...one.violations, ...other.violations], transactions: one.transactions + other.transactions,
    committed: one.committed + other.committed, aborted: one.aborted + other.aborted, withoutOutcome: one.withoutOutcome + other.withoutOutcome,
    events: one.events + other.events, messages: one.messages + other.messages, longestInDoubtMs: Math.max(one.longestInDoubtMs, other.longestInDoubtMs),
    blocked: one.blocked + other.blocked, longestBlockedMs: Math.max(one.longestBlockedMs, other.longestBlockedMs), faults,
  };
}
