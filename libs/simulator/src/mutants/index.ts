import type { PaxosTransaction } from '../systems/paxos-commit.js';
import type { SagaTransaction } from '../systems/saga.js';
import type { Transaction } from '../systems/two-phase-commit.js';
import type { Mutant } from './mutant.js';
import { paxosCommitMutants } from './paxos-commit.js';
import { sagaMutants } from './saga.js';
import { threePhaseCommitMutants } from './three-phase-commit.js';
import { twoPhaseCommitMutants } from './two-phase-commit.js';

export type { Mutant } from './mutant.js';
export type AnyMutant = Mutant<Transaction> | Mutant<PaxosTransaction> | Mutant<SagaTransaction>;

export const MUTANTS: readonly AnyMutant[] = [...twoPhaseCommitMutants, ...threePhaseCommitMutants, ...paxosCommitMutants, ...sagaMutants];
export { hunt, searchPlan, type Catch, type Hunt } from './hunt.js';
export { renderCatches } from './render.js';
