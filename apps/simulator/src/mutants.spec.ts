import { expect, test } from '@jest/globals';
import { main } from './mutants.js';

async function run(...argv: string[]) {
  const written: string[] = [];
  const code = await main(argv, { write: (text) => written.push(text) }, { write: () => undefined });
  return { code, text: written.join('') };
}

test('a mutant that is found is shown with what found it', async () => {
  const { code, text } = await run('--name', 'prepares-again', '--runs', '100', '--states', '1000');
  expect(text).toContain('1 mutants: 1 caught, 1 by seeds, 1 among the states of small systems.');
  expect(text).toMatch(/\| 2pc \| `prepares-again` \| .* \| \d+: EFFECTS \| \d+ of [\w-]+: EFFECTS \|/);
  expect(code).toBe(0);
});

test('one that nothing finds ends with exit code 1', async () => {
  const { code, text } = await run('--name', 'first-coordinator-again', '--runs', '1', '--states', '0', '--last-resort', '0', '--json');
  expect(JSON.parse(text)).toMatchObject([{ name: 'first-coordinator-again', bySeed: null, byStates: null }]);
  expect(code).toBe(1);
});

test.each([
  [['--name', 'nobody'], 'there is no mutant "nobody"'],
  [['--runs', '0'], '--runs takes a whole number from 1 to 1000000, got "0"'],
  [['--seed', 'x'], '--seed takes a whole number from 0 to 4294967295, got "x"'],
  [['--states', '99999999'], '--states takes a whole number from 0 to 10000000'],
  [['--frobnicate'], 'npm run mutants takes --name'],
])('%j is refused', async (argv, message) => {
  await expect(run(...argv)).rejects.toThrow(message);
});
