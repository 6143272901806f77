/** The commands that do again what was done, as one would type them. */
import type { Job } from './simulate-options.js';

/** Everything that a run depends on besides its seed. */
function optionsOf({ protocol, mutant, driver, nodes, f, transactions, coordinators, faults }: Job): string {
  const given: readonly (readonly [string, string | number | null])[] = [
    ['protocol', protocol], ['mutant', mutant], ['nodes', nodes], ['f', f], ['transactions', transactions], ['coordinators', coordinators], ['faults', faults === '' ? null : faults],
  ];
  return [...given.filter(([, value]) => value !== null).map(([name, value]) => `--${name} ${value}`), ...(driver ? ['--driver'] : [])].join(' ');
}

export function replayCommand(job: Job, seed: number): string {
  return `npm run simulate -- ${optionsOf(job)} --replay ${seed}`;
}

export function scheduleCommand(job: Job, name: string): string {
  return `npm run simulate -- ${optionsOf(job)} --schedule ${name}`;
}
