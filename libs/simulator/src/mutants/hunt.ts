/** Looks for a mutant with both checkers: seeds of the simulator, and every order of events of small systems. */
import type { Bounds } from '../checker/bounds.js';
import { check } from '../checker/check.js';
import { atomicTransaction, paxosTransaction, sagaTransaction } from '../checker/systems.js';
import type { System } from '../system.js';
import { protocolUnderTest, runSeeds, type ProtocolKey } from '../world/index.js';
import type { AnyMutant } from './index.js';

export interface Hunt {
  readonly firstSeed: number;
  /** Gives up after so many seeds. */
  readonly mostSeeds: number;
  /** Gives up after so many states of each small system; 0: only the seeds are tried. */
  readonly mostStates: number;
  /** Instead of mostStates when no seed has found it. */
  readonly lastResortStates: number;
}

export interface Catch {
  readonly mutant: AnyMutant;
  /** The first seed that finds it; null: none did. */
  readonly bySeed: { readonly seed: number; readonly text: string } | null;
  /** How many states it took, and of which small system; null: not found, or not looked for. */
  readonly byStates: { readonly plan: string; readonly states: number; readonly text: string } | null;
}

export function hunt(mutant: AnyMutant, { firstSeed, mostSeeds, mostStates, lastResortStates }: Hunt): Catch {
  const factory = mutant.system as (options: never) => System;
  const bySeed = runSeeds(protocolUnderTest(mutant.protocol as ProtocolKey, factory), firstSeed, mostSeeds, {}, 1).violations[0] ?? null;
  return { mutant, bySeed, byStates: searchStates(mutant, bySeed === null ? lastResortStates : mostStates) };
}

function searchStates(mutant: AnyMutant, mostStates: number): Catch['byStates'] {
  const limits = [Math.min(SHALLOW_STATES, mostStates), mostStates].filter((limit) => limit > 0);
  for (const limit of limits) {
    for (const plan of Object.keys(PLANS)) {
      const found = searchPlan(mutant, plan, limit);
      if (found !== null) return found;
    }
  }
  return null;
}

/** @param plan a name that `byStates.plan` has told */
export function searchPlan(mutant: AnyMutant, plan: string, mostStates: number): Catch['byStates'] {
  const { votes, bounds } = PLANS[plan]!;
  const { violation, states } = check(smallSystem(mutant, votes), { ...bounds, mostStates });
  return violation === null ? null : { plan, states, text: violation.text };
}

/** Before any plan is searched deeply, all of them are up to here. */
const SHALLOW_STATES = 50_000;

interface Plan {
  readonly votes: readonly ('yes' | 'no')[];
  readonly bounds: Partial<Bounds>;
}

const CALM: Partial<Bounds> = { crashes: 0, takeOvers: 0, firings: 0, feedback: 'at once', healEvery: 0 };
const IDLE_CRASH: Partial<Bounds> = { ...CALM, crashes: 1, crashPoints: 'idle' };

/** Small systems in which some rule matters. The first ones are the checker's own defaults. */
const PLANS: Readonly<Record<string, Plan>> = {
  'three-agree': { votes: ['yes', 'yes', 'yes'], bounds: {} },
  'last-refuses': { votes: ['yes', 'yes', 'no'], bounds: {} },
  'ask-peers': { votes: ['yes', 'yes'], bounds: { ...CALM, crashes: 1, firstAttempts: { inquire: 1 }, timers: { inquire: 1, 'prepare-timeout': 1 } } },
  'two-owners': { votes: ['yes', 'yes'], bounds: { ...CALM, takeOvers: 1, commands: 1, feedback: 'any time' } },
  'late-resolver': { votes: ['yes', 'yes'], bounds: { ...IDLE_CRASH, timers: { 'resolve at participant 1': 1 } } },
  'resolves-twice': { votes: ['yes', 'yes'], bounds: { ...IDLE_CRASH, timers: { 'resolve at participant 1': 2 } } },
  'rival-resolvers': { votes: ['yes', 'yes'], bounds: { ...IDLE_CRASH, timers: { 'resolve at participant 0': 1, 'resolve at participant 1': 1 } } },
};

function smallSystem(mutant: AnyMutant, votes: readonly ('yes' | 'no')[]): System {
  const build = mutant.system as (options: unknown) => System;
  switch (mutant.protocol) {
    case 'paxos-commit': return build(paxosTransaction({ votes }));
    case 'saga': return build(sagaTransaction({ votes, kinds: votes.length === 3 ? ['compensatable', 'compensatable', 'pivot'] : ['compensatable', 'compensatable'] }));
    default: return build(atomicTransaction({ votes }));
  }
}
