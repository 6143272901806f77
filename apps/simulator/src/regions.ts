/** `npm run regions`: commit latency and availability of each protocol, placed in data centres around the world. */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  REGION_DEFAULTS, REGION_PROTOCOLS, regionNamed, regionPage, regionReport, renderMap, renderRegions, type RegionOptions, type RegionProtocol,
} from '#libs/simulator';
import { OptionError } from './option-error.js';
import { replaceSection } from './section.js';

export const REGIONS_DOCUMENT = 'docs/regions.md';

const HELP = `npm run regions -- [options]   commit latency and availability, with coordinator and acceptors in 1, 3 and 5 regions

  --runs N         transactions for each placement and each loss, 1..100000  (default ${REGION_DEFAULTS.runs})
  --seed S         whole number from 0 to 4294967295                         (default ${REGION_DEFAULTS.seed})
  --home REGION    where client and coordinator are                          (default ${REGION_DEFAULTS.home})
  --protocol LIST  of ${REGION_PROTOCOLS.join(', ')}                            (default all)
  --outage S       seconds until a lost region is back, 10..3600             (default ${REGION_DEFAULTS.outageMs / 1000})
  --limit S        seconds that count as decided in time, 1..outage          (default ${REGION_DEFAULTS.limitMs / 1000})
  --json           one JSON document instead of the tables
  --page FILE      an HTML page with bar charts too
  --write          put the tables into ${REGIONS_DOCUMENT} too
  --help           this text
`;

interface Output {
  write(text: string): unknown;
}

/** @returns the exit code */
export function main(argv: readonly string[], out: Output = process.stdout, progress: Output = process.stderr): number {
  const values = parse(argv);
  if (values.help === true) {
    out.write(HELP);
    return 0;
  }
  const options = regionOptions(values);
  if (values.page !== undefined) checkFolder(values.page);
  const reports = regionReport(options, (done, of) => progress.write(`${done} of ${of} placements\n`));
  const text = `${renderMap()}\n\n${renderRegions(reports)}`;
  out.write(values.json === true ? `${JSON.stringify({ options, reports }, null, 2)}\n` : text);
  if (values.page !== undefined) writeFile(values.page, regionPage(reports, options));
  if (values.write === true) writeFile(REGIONS_DOCUMENT, replaceSection(fs.readFileSync(REGIONS_DOCUMENT, 'utf8'), 'regions', text));
  return 0;
}

type Values = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv], strict: true, allowPositionals: false,
      options: {
        runs: { type: 'string' }, seed: { type: 'string' }, home: { type: 'string' }, protocol: { type: 'string' }, outage: { type: 'string' },
        limit: { type: 'string' }, json: { type: 'boolean' }, page: { type: 'string' }, write: { type: 'boolean' }, help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message}; see npm run regions -- --help`);
  }
}

/** @throws OptionError that names the option and what it takes */
export function regionOptions(values: Values): RegionOptions {
  const outageMs = 1000 * whole('--outage', values.outage, 10, 3600, REGION_DEFAULTS.outageMs / 1000);
  return {
    runs: whole('--runs', values.runs, 1, 100_000, REGION_DEFAULTS.runs),
    seed: whole('--seed', values.seed, 0, 4_294_967_295, REGION_DEFAULTS.seed),
    home: values.home === undefined ? REGION_DEFAULTS.home : regionNamed(values.home),
    protocols: values.protocol === undefined ? REGION_DEFAULTS.protocols : values.protocol.split(',').map(protocolNamed),
    outageMs,
    limitMs: 1000 * whole('--limit', values.limit, 1, outageMs / 1000, REGION_DEFAULTS.limitMs / 1000),
  };
}

function protocolNamed(text: string): RegionProtocol {
  const protocol = REGION_PROTOCOLS.find((name) => name === text);
  if (protocol === undefined) throw new OptionError(`--protocol takes a list of ${REGION_PROTOCOLS.join(', ')}, got "${text}"`);
  return protocol;
}

function whole(option: string, text: string | undefined, min: number, max: number, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) throw new OptionError(`${option} takes a whole number from ${min} to ${max}, got "${text}"`);
  return value;
}

/** Before the work, not after it. */
function checkFolder(file: string): void {
  const folder = path.dirname(path.resolve(file));
  if (!fs.existsSync(folder)) throw new OptionError(`--page takes a file to write; there is no folder ${folder}`);
}

function writeFile(file: string, text: string): void {
  try {
    fs.writeFileSync(file, text);
  } catch (error) {
    throw new OptionError(`cannot write ${file}: ${(error as Error).message}`);
  }
}
