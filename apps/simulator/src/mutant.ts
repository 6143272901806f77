import { MUTANTS, type AnyMutant, type System } from '#libs/simulator';
import { OptionError } from './option-error.js';

/** The mutant of that name; different protocols may have one of the same name. */
export function mutantNamed(protocol: string, name: string): AnyMutant {
  const of = MUTANTS.filter((mutant) => mutant.protocol === protocol);
  const found = of.find((mutant) => mutant.name === name);
  if (found !== undefined) return found;
  throw new OptionError(`--mutant takes a mutant of ${protocol}, got "${name}"; there are ${of.map((mutant) => mutant.name).join(', ') || 'none'}`);
}

/** The options that a mutant takes are those of its protocol. */
export function factoryOf(mutant: AnyMutant): (options: never) => System {
  return mutant.system as (options: never) => System;
}
