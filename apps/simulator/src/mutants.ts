/** `npm run mutants`: every broken machine, and what found it. */
import fs from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { hunt, MUTANTS, renderCatches, type AnyMutant, type Catch } from '#libs/simulator';
import { LAST_SEED, whole } from './numbers.js';
import { OptionError } from './option-error.js';
import { replaceSection } from './section.js';

export const MUTANTS_DOCUMENT = 'docs/mutants.md';

const HELP = `npm run mutants -- [options]     breaks one rule after the other, and shows which checker finds it

  --name NAME        only this one; repeat it for more
  --seed S           the first seed, 0 to 4294967295 (default 1)
  --runs N           seeds to try for each, 1 to 1000000 (default 20000)
  --states N         states to explore of each small system, 0 to 10000000 (default 300000; 0: only seeds)
  --last-resort N    the same when no seed has found it (default 4000000)
  --json             one JSON document instead of the table
  --write            put the table into ${MUTANTS_DOCUMENT} too
  --help             this text

Ends with exit code 1 when one of them is found neither by a seed nor among the states.
`;

interface Output {
  write(text: string): unknown;
}

/** @returns the exit code */
export async function main(argv: readonly string[], out: Output = process.stdout, progress: Output = process.stderr): Promise<number> {
  const { help, json, write, mutants, ...sizes } = parse(argv);
  if (help) {
    out.write(HELP);
    return 0;
  }
  const catches: Catch[] = [];
  for (const mutant of mutants) {
    progress.write(`${catches.length + 1}/${mutants.length} ${mutant.protocol} ${mutant.name}\n`);
    // A hunt leaves no room for signals; Ctrl-C is heard here.
    await setImmediate();
    catches.push(hunt(mutant, sizes));
  }
  const text = renderCatches(catches);
  out.write(json ? `${JSON.stringify(catches.map(plain), null, 2)}\n` : text);
  if (write) fs.writeFileSync(MUTANTS_DOCUMENT, replaceSection(fs.readFileSync(MUTANTS_DOCUMENT, 'utf8'), 'mutants', text));
  const missed = catches.filter(({ bySeed, byStates }) => bySeed === null && byStates === null);
  for (const { mutant } of missed) progress.write(`not found: ${mutant.protocol} ${mutant.name}\n`);
  return missed.length === 0 ? 0 : 1;
}

function plain({ mutant: { name, protocol, breaks }, bySeed, byStates }: Catch) {
  return { protocol, name, breaks, bySeed, byStates };
}

function parse(argv: readonly string[]) {
  const { help = false, json = false, write = false, name, seed = '1', runs = '20000', states = '300000', 'last-resort': lastResort = '4000000' } = read(argv);
  return {
    help, json, write, mutants: name === undefined ? MUTANTS : name.flatMap(named),
    firstSeed: whole('seed', seed, 0, LAST_SEED), mostSeeds: whole('runs', runs, 1, 1_000_000), mostStates: whole('states', states, 0, 10_000_000),
    lastResortStates: whole('last-resort', lastResort, 0, 10_000_000),
  };
}

function read(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    const options = { name: { ...text, multiple: true }, seed: text, runs: text, states: text, 'last-resort': text, json: flag, write: flag, help: flag } as const;
    return parseArgs({ args: [...argv], strict: true, allowPositionals: false, options }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message}; npm run mutants takes --name, --seed, --runs, --states, --last-resort, --json, --write and --help`);
  }
}

/** Protocols share some names, for the same mistake. */
function named(name: string): readonly AnyMutant[] {
  const found = MUTANTS.filter((mutant) => mutant.name === name);
  if (found.length === 0) throw new OptionError(`--name: there is no mutant "${name}"; there are ${[...new Set(MUTANTS.map((mutant) => mutant.name))].join(', ')}`);
  return found;
}
