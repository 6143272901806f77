/** The cost table of docs/two-phase-commit.md, counted. */
import { expect, test } from '@jest/globals';
import { play } from './scenario-world.js';

interface Costs { readonly messages: number; readonly coordinatorRecords: number; readonly branchRows: number }

function costsOf(commands: readonly string[]): Costs {
  const answers = play(commands.map((command) => `> ${command}`).join('\n')).split('\n').filter((line) => line.startsWith('  '));
  const count = (pattern: RegExp) => answers.filter((line) => pattern.test(line)).length;
  const coordinatorRecords = count(/^ {2}store (BEGIN|DECIDE|END)/);
  return { messages: count(/^ {2}send /), coordinatorRecords, branchRows: count(/^ {2}store /) - coordinatorRecords };
}

const each = (n: number, commands: (branch: number) => readonly string[]) => Array.from({ length: n }, (_, branch) => commands(branch)).flat();
const begin = (n: number) => `begin ${each(n, (branch) => [`p${branch}.work`]).join(' ')}`;
const vote = (branch: number, word: string) => [`deliver PREPARE ${branch}`, `says ${branch} ${word}`, `deliver VOTE ${branch}`];

test.each([2, 3, 5])('commit of %i branches: 4n messages, 3 records, 2n rows', (n) => {
  const phaseTwo = each(n, (branch) => [`deliver COMMIT ${branch}`, `says ${branch} done`, `deliver ACK ${branch}`]);
  const costs = costsOf([begin(n), ...each(n, (branch) => vote(branch, 'yes')), 'register', ...phaseTwo]);
  expect(costs).toEqual({ messages: 4 * n, coordinatorRecords: 3, branchRows: 2 * n });
});

test.each([2, 3, 5])('abort of %i branches by the last vote: 3n - 1 messages, 3 records, 2n - 1 rows', (n) => {
  const votes = each(n, (branch) => vote(branch, branch === n - 1 ? 'no REFUSED' : 'yes'));
  const phaseTwo = each(n - 1, (branch) => [`deliver ABORT ${branch}`, `says ${branch} done`]);
  expect(costsOf([begin(n), ...votes, 'register', ...phaseTwo])).toEqual({ messages: 3 * n - 1, coordinatorRecords: 3, branchRows: 2 * n - 1 });
});

test.each([2, 3, 5])('%i read-only branches: 2n messages, 2 records, n rows', (n) => {
  expect(costsOf([begin(n), ...each(n, (branch) => vote(branch, 'read-only'))])).toEqual({ messages: 2 * n, coordinatorRecords: 2, branchRows: n });
});

test('one branch: 2 messages, 2 records, 1 row', () => {
  const costs = costsOf([begin(1), 'deliver PREPARE_AND_COMMIT 0', 'says 0 yes', 'deliver ONE_PHASE_OUTCOME 0']);
  expect(costs).toEqual({ messages: 2, coordinatorRecords: 2, branchRows: 1 });
});
