/** One transaction of a protocol, or of a mutant of it, in which everybody would commit or as `votes` says. */
import { atomicTransaction, checkedSystem, paxosTransaction, sagaTransaction, type CheckedOptions, type CheckedProtocol, type System } from '#libs/simulator';
import { factoryOf, mutantNamed } from './mutant.js';

export type Votes = NonNullable<CheckedOptions['votes']>;
type Kinds = NonNullable<CheckedOptions['kinds']>;

export function smallSystem(protocol: CheckedProtocol, mutant: string | null, options: CheckedOptions): System {
  if (mutant === null) return checkedSystem(protocol, options);
  return factoryOf(mutantNamed(protocol, mutant))(transactionOf(protocol, options) as never);
}

function transactionOf(protocol: CheckedProtocol, options: CheckedOptions): unknown {
  switch (protocol) {
    case 'paxos-commit': return paxosTransaction(options);
    case 'saga': return sagaTransaction(options);
    default: return atomicTransaction(options);
  }
}

/** A saga with a pivot before its last step: one that can be undone, one that decides, one that must be done. */
export function kindsOf(steps: number): Kinds {
  return Array.from({ length: steps }, (_, i) => (i === steps - 1 && steps > 1 ? 'retriable' : i === steps - 2 || steps === 1 ? 'pivot' : 'compensatable'));
}
