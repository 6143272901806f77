/**
 * A machine or store with one rule broken on purpose. The checkers are worth what they find: every mutant must be caught, by the
 * seeds of the simulator or by the exhaustive checker (docs/mutants.md).
 */
import type { System } from '../system.js';
import type { Transaction } from '../systems/two-phase-commit.js';

/** @typeParam Options what the protocol's factory takes; at least a Transaction for the atomic protocols */
export interface Mutant<Options = Transaction> {
  /** Short and unique, with dashes: `vote-before-durable`. */
  readonly name: string;
  /** The broken rule, in one sentence. */
  readonly breaks: string;
  readonly protocol: string;
  system(options: Options): System;
}
