/** `npm run costs`: the cost table, counted in runs of the machines. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { costTable, renderCosts, renderDifferences } from '#libs/simulator';
import { OptionError } from './option-error.js';
import { replaceSection } from './section.js';

export const COSTS_DOCUMENT = 'docs/costs.md';

const HELP = `npm run costs -- [options]     messages, delays and forced writes of one commit, counted in runs of the machines

  --json     one JSON document instead of the tables: each row with the figures of the run and of the formula
  --write    put the tables into ${COSTS_DOCUMENT} too
  --help     this text

Two-phase commit, E3PC, Paxos Commit with F = 0, 1, 2 and a saga, with 2 to 10 participants, co-located and not.
Ends with exit code 1 when a run differs from its formula.
`;

interface Output {
  write(text: string): unknown;
}

/** @returns the exit code */
export function main(argv: readonly string[], out: Output = process.stdout, problems: Output = process.stderr): number {
  const options = parse(argv);
  if (options.help === true) {
    out.write(HELP);
    return 0;
  }
  const rows = costTable();
  const text = renderCosts(rows);
  out.write(options.json === true ? `${JSON.stringify({ rows }, null, 2)}\n` : text);
  if (options.write === true) fs.writeFileSync(COSTS_DOCUMENT, replaceSection(fs.readFileSync(COSTS_DOCUMENT, 'utf8'), 'costs', text));
  const differences = renderDifferences(rows);
  for (const line of differences) problems.write(`${line}\n`);
  return differences.length === 0 ? 0 : 1;
}

function parse(argv: readonly string[]) {
  try {
    const options = { json: { type: 'boolean' }, write: { type: 'boolean' }, help: { type: 'boolean' } } as const;
    return parseArgs({ args: [...argv], strict: true, allowPositionals: false, options }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message}; npm run costs takes --json, --write and --help`);
  }
}
