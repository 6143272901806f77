/** Every mutant of docs/mutants.md is caught again, by the very seed or small system that the table names. */
import fs from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { MUTANTS, searchPlan, type AnyMutant } from '../src/mutants/index.js';
import type { System } from '../src/system.js';
import { protocolUnderTest, runSeed, runSeeds, type ProtocolKey } from '../src/world/index.js';

const DOCUMENT = fs.readFileSync(new URL('../../../docs/mutants.md', import.meta.url), 'utf8');
const ROWS = [...DOCUMENT.matchAll(/^\| ([\w-]+) \| `([\w-]+)` \| (.*?) \| (?:(\d+): (\w+)|-) \| (?:([\d,]+) of ([\w-]+): (\w+)|-) \|$/gm)];
/** Those that take longer are for `npm run mutants`; where a seed finds the mutant too, the small system may cost less. */
const QUICK_STATES = { alone: 400_000, besideSeed: 60_000 };

const rowOf = ({ protocol, name }: AnyMutant) => ROWS.find((row) => row[1] === protocol && row[2] === name);
const underTest = ({ protocol, system }: AnyMutant) => protocolUnderTest(protocol as ProtocolKey, system as (options: never) => System);

test('the table has every mutant, and each is caught', () => {
  expect(ROWS.map((row) => `${row[1]} ${row[2]}`)).toEqual(MUTANTS.map(({ protocol, name }) => `${protocol} ${name}`));
  expect(ROWS.filter((row) => row[4] === undefined && row[6] === undefined).map((row) => row[2])).toEqual([]);
});

describe.each(MUTANTS.map((mutant) => [`${mutant.protocol} ${mutant.name}`, mutant] as const))('%s', (_, mutant) => {
  const [, , , , seed, bySeed, states, plan, byStates] = rowOf(mutant) ?? [];
  const exploredStates = Number(states?.replaceAll(',', ''));

  if (seed !== undefined) {
    test(`is caught by seed ${seed} (${bySeed}), which the correct protocol survives`, () => {
      expect(runSeed(underTest(mutant), Number(seed)).violation).toMatch(new RegExp(`^${bySeed}:`));
      const correct = mutant.protocol === 'textbook-3pc' ? '3pc' : mutant.protocol;
      expect(runSeed(protocolUnderTest(correct as ProtocolKey), Number(seed)).violation).toBeNull();
    });
  }
  if (exploredStates <= (seed === undefined ? QUICK_STATES.alone : QUICK_STATES.besideSeed)) {
    test(`is caught among ${states} states of ${plan} (${byStates})`, () => {
      expect(searchPlan(mutant, plan!, exploredStates + 1)).toMatchObject({ states: exploredStates, text: expect.stringMatching(new RegExp(`^${byStates}:`)) });
    });
  }
});

test('the correct protocols survive the seeds that catch most mutants', () => {
  for (const protocol of ['2pc', '3pc', 'paxos-commit', 'saga', 'mixed'] as const) expect(runSeeds(protocolUnderTest(protocol), 1, 500).violations).toEqual([]);
});
