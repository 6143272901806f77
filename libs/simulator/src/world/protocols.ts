/** The protocols that campaigns run, and how a transaction of each is drawn from the seed. */
import { makeTxid, type Txid, type VoteKind } from '#libs/protocol';
import { paxosCommit, type PaxosTransaction } from '../systems/paxos-commit.js';
import { saga, type SagaStepPlan, type SagaTransaction } from '../systems/saga.js';
import { textbookThreePhaseCommit } from '../systems/textbook-three-phase-commit.js';
import { threePhaseCommit } from '../systems/three-phase-commit.js';
import { twoPhaseCommit, type Transaction } from '../systems/two-phase-commit.js';
import type { SiteName, System } from '../system.js';
import type { Random } from './random.js';

export type ProtocolKey = '2pc' | '3pc' | 'paxos-commit' | 'saga' | 'textbook-3pc' | 'mixed';

export interface DrawnTransaction {
  readonly system: System;
  /** Of these sites a minority may be lost for good, and the protocol still ends; empty: it makes no such promise about any site. */
  readonly voters: readonly SiteName[];
  /** Sites that must not run out of stock, because a step there may not refuse. */
  readonly needsStock: readonly SiteName[];
}

export interface ProtocolUnderTest {
  readonly name: string;
  /** @param index place among the transactions of the run */
  draw(random: Random, index: number, createdAtMs: number): DrawnTransaction;
}

/** What makes a system of a drawn transaction: the protocol itself, or a mutant of it. */
export type Factory<Options> = (options: Options) => System;

/** What is not to be drawn from the seed. */
export interface Sizes {
  /** Branches, or steps of a saga. */
  readonly branches?: number;
  /** Of Paxos Commit. */
  readonly f?: number;
}

const MOST_STEPS = 5;

// ---------------------------------------------------------------- atomic protocols

/** Small ones more often: with fewer sites faults meet more often. */
const BRANCHES = [2, 2, 3, 3, 4, 5] as const;
/** Share of one-phase transactions, which are the two-phase machine's business alone. */
const SINGLE = 0.05;

function drawAtomic(random: Random, index: number, createdAtMs: number, n: number): Transaction {
  const agreeable = random.chance(0.5);
  const votes: VoteKind[] = [];
  for (let i = 0; i < n; i++) votes.push(agreeable ? 'yes' : drawVote(random));
  return { txid: txidOf(index, createdAtMs), votes, createdAtMs, timeoutMs: random.pick([500, 1000, 3000]), waitFor: random.chance(0.5) ? 'decided' : 'finished' };
}

function drawVote(random: Random): VoteKind {
  const x = random.next();
  return x < 0.75 ? 'yes' : x < 0.88 ? 'no' : 'read-only';
}

function participants(n: number): SiteName[] {
  return Array.from({ length: n }, (_, i) => `p${i}`);
}

export function twoPhaseUnderTest(factory: Factory<Transaction> = twoPhaseCommit, sizes: Sizes = {}): ProtocolUnderTest {
  return {
    name: '2pc',
    draw(random, index, createdAtMs) {
      const branches = sizes.branches ?? (random.chance(SINGLE) ? 1 : random.pick(BRANCHES));
      return { system: factory(drawAtomic(random, index, createdAtMs, branches)), voters: [], needsStock: [] };
    },
  };
}

export function threePhaseUnderTest(factory: Factory<Transaction> = threePhaseCommit, sizes: Sizes = {}): ProtocolUnderTest {
  return {
    name: '3pc',
    draw(random, index, createdAtMs) {
      const transaction = drawAtomic(random, index, createdAtMs, sizes.branches ?? random.pick(BRANCHES));
      return { system: factory(transaction), voters: ['coordinator', ...participants(transaction.votes.length)], needsStock: [] };
    },
  };
}

export function textbookUnderTest(factory: Factory<Transaction> = textbookThreePhaseCommit, sizes: Sizes = {}): ProtocolUnderTest {
  return {
    name: 'textbook-3pc',
    draw(random, index, createdAtMs) {
      return { system: factory(drawAtomic(random, index, createdAtMs, sizes.branches ?? random.pick(BRANCHES))), voters: [], needsStock: [] };
    },
  };
}

export function paxosUnderTest(factory: Factory<PaxosTransaction> = paxosCommit, sizes: Sizes = {}): ProtocolUnderTest {
  return {
    name: 'paxos-commit',
    draw(random, index, createdAtMs) {
      const f = sizes.f ?? random.int(0, 2);
      const transaction = drawAtomic(random, index, createdAtMs, sizes.branches ?? random.pick(BRANCHES));
      return { system: factory({ ...transaction, f }), voters: f === 0 ? [] : acceptorSites(f, transaction.votes.length), needsStock: [] };
    },
  };
}

function acceptorSites(f: number, n: number): SiteName[] {
  return Array.from({ length: 2 * f + 1 }, (_, j) => (j < n ? `p${j}` : `a${j}`));
}

// ---------------------------------------------------------------- sagas

export function sagaUnderTest(factory: Factory<SagaTransaction> = saga, sizes: Sizes = {}): ProtocolUnderTest {
  return {
    name: 'saga',
    draw(random, index, createdAtMs) {
      const steps = drawSteps(random, sizes.branches ?? random.int(1, MOST_STEPS));
      const transaction = { txid: txidOf(index, createdAtMs), steps, createdAtMs, timeoutMs: random.pick([5000, 10_000, 20_000]), skip: random.below(steps.length) };
      return { system: factory(transaction), voters: [], needsStock: steps.flatMap(({ kind }, i) => (kind === 'retriable' ? [`p${i}`] : [])) };
    },
  };
}

/** Compensatable steps, perhaps a pivot, retriable steps; each after the one before, or after any of the earlier ones. */
function drawSteps(random: Random, n: number): SagaStepPlan[] {
  const pivot = random.chance(0.7) ? random.below(n) : -1;
  const compensatable = pivot >= 0 ? pivot : random.int(0, n);
  const chain = random.chance(0.4);
  const agreeable = random.chance(0.5);
  const steps: SagaStepPlan[] = [];
  for (let i = 0; i < n; i++) {
    const kind = i === pivot ? 'pivot' : i < compensatable ? 'compensatable' : 'retriable';
    const vote = kind !== 'retriable' && !agreeable && random.chance(0.2) ? 'no' : 'yes';
    const transientFailures = random.chance(0.2) ? random.int(1, 2) : 0;
    steps.push(chain ? { kind, vote, transientFailures } : { kind, vote, transientFailures, after: drawAfter(random, i, kind === 'retriable' ? pivot : -1) });
  }
  return steps;
}

/** @param must a step that has to be among them; -1: none */
function drawAfter(random: Random, i: number, must: number): number[] {
  const after: number[] = [];
  for (let j = 0; j < i; j++) if (j === must || random.chance(0.4)) after.push(j);
  return after;
}

// ---------------------------------------------------------------- all

/** Transactions of several protocols over the same sites. */
function mixedUnderTest(sizes: Sizes = {}): ProtocolUnderTest {
  const protocols = [twoPhaseUnderTest(undefined, sizes), threePhaseUnderTest(undefined, sizes), paxosUnderTest(undefined, sizes), sagaUnderTest(undefined, sizes)];
  return { name: 'mixed', draw: (random, index, createdAtMs) => random.pick(protocols).draw(random, index, createdAtMs) };
}

const MAKERS: { readonly [K in ProtocolKey]: (factory: Factory<never> | undefined, sizes: Sizes) => ProtocolUnderTest } = {
  '2pc': (factory, sizes) => twoPhaseUnderTest(factory as Factory<Transaction> | undefined, sizes),
  '3pc': (factory, sizes) => threePhaseUnderTest(factory as Factory<Transaction> | undefined, sizes),
  'paxos-commit': (factory, sizes) => paxosUnderTest(factory as Factory<PaxosTransaction> | undefined, sizes),
  saga: (factory, sizes) => sagaUnderTest(factory as Factory<SagaTransaction> | undefined, sizes),
  'textbook-3pc': (factory, sizes) => textbookUnderTest(factory as Factory<Transaction> | undefined, sizes),
  mixed: (_factory, sizes) => mixedUnderTest(sizes),
};

/**
 * @param factory a mutant's in place of the protocol's own; `mixed` has none to replace
 * @param sizes what is not to be drawn from the seed
 */
export function protocolUnderTest(key: ProtocolKey, factory?: Factory<never>, sizes: Sizes = {}): ProtocolUnderTest {
  return MAKERS[key](factory, sizes);
}

export const PROTOCOLS: { readonly [K in ProtocolKey]: ProtocolUnderTest } = {
  '2pc': twoPhaseUnderTest(), '3pc': threePhaseUnderTest(), 'paxos-commit': paxosUnderTest(), saga: sagaUnderTest(), 'textbook-3pc': textbookUnderTest(),
  mixed: mixedUnderTest(),
};

function txidOf(index: number, createdAtMs: number): Txid {
  const noise = new Uint8Array(8);
  noise[7] = index;
  return makeTxid(0, createdAtMs, noise);
}
