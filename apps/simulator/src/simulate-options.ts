import { randomInt } from 'node:crypto';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { FaultOptionError, parseDriverFaults, parseFaults, PROTOCOLS, type DriverFaults, type FaultOdds, type ProtocolKey } from '#libs/simulator';
import { mutantNamed } from './mutant.js';
import { LAST_SEED, oneOf, whole } from './numbers.js';
import { OptionError } from './option-error.js';
import { PRESETS } from './presets.js';

/** What a slice of seeds is run with: plain data, so that it can go to a thread. */
export interface Job {
  readonly protocol: ProtocolKey;
  /** A broken machine in place of the protocol's own. */
  readonly mutant: string | null;
  /** The production driver of libs/runtime around the machines. */
  readonly driver: boolean;
  readonly nodes: number | null;
  readonly f: number | null;
  readonly transactions: number | null;
  readonly coordinators: number | null;
  /** As given; `''`: all drawn from the seed. */
  readonly faults: string;
  /** Goes on after a violation. */
  readonly keepGoing: boolean;
}

export type Task =
  | { readonly kind: 'campaign'; readonly firstSeed: number; readonly runs: number; readonly workers: number }
  | { readonly kind: 'replay'; readonly seed: number; readonly page: string | null }
  | { readonly kind: 'schedule'; readonly name: string; readonly page: string | null };

export interface SimulateOptions {
  readonly job: Job;
  readonly task: Task;
  readonly json: boolean;
}

const PROTOCOL_KEYS = Object.keys(PROTOCOLS) as readonly ProtocolKey[];
const MOST_NODES = 16;
const MOST_F = 5;
const MOST_TRANSACTIONS = 16;
const MOST_COORDINATORS = 5;
const MOST_RUNS = 100_000_000;
const MOST_WORKERS = 64;

/** Nodes that the schedules and the driver's world are made for. */
const SCHEDULE_NODES = [2, 5] as const;

export const SIMULATE_HELP = `npm run simulate -- --protocol P [options]     many runs with faults, each drawn from its seed; or one run, told

  --protocol P       ${PROTOCOL_KEYS.join(', ')}
  --runs N           schedules, 1 to ${MOST_RUNS}                  (default 10000)
  --seed S           the first seed, 0 to ${LAST_SEED}            (default a fresh one, printed)
  --workers W        threads, 1 to ${MOST_WORKERS}; results do not depend on it  (default one for each core)
  --keep-going       do not stop at the first violation

  --replay SEED      tells this run instead, and writes a page of it; also as P:SEED
  --schedule NAME    tells a staged run instead: ${Object.keys(PRESETS).join(', ')}
  --page FILE        where the page goes                               (default .concordat/simulations/P-SEED.html)

What is not given is drawn from each seed:
  --nodes N          participants, or steps of a saga, 1 to ${MOST_NODES} (2 to ${MOST_NODES} but for 2pc and saga)
  --f F              Paxos Commit's acceptors are 2F+1, 0 to ${MOST_F}
  --transactions K   at the same time, 1 to ${MOST_TRANSACTIONS}
  --coordinators C   processes over the coordinator's database, 1 to ${MOST_COORDINATORS}
  --faults K=V,...   odds, rates and times: loss=0.1,partitions=off; or none (a wrong key names them all)

  --mutant NAME      a broken machine of the protocol (npm run mutants)
  --driver           the production driver of libs/runtime around the machines (any protocol but textbook-3pc)
  --json             one JSON object instead of text
  --help             this text

Exit code: 0 nothing is violated, 1 something is (the command that replays it is printed), 2 bad options, 130 stopped.

  npm run simulate -- --protocol paxos-commit --runs 100000
  npm run simulate -- --protocol textbook-3pc --faults partitions=5
  npm run simulate -- --protocol saga --replay 4711
  npm run simulate -- --protocol 2pc --schedule coordinator-lost --nodes 3
`;

export function parseSimulateOptions(argv: readonly string[]): SimulateOptions | 'help' {
  const values = parse(argv);
  if (values.help === true) return 'help';
  const replay = values.replay === undefined ? null : replayOf(values.replay);
  const driver = values.driver === true;
  const protocol = oneOf('protocol', values.protocol ?? replay?.protocol ?? (driver ? '2pc' : undefined), PROTOCOL_KEYS);
  if (replay?.protocol !== undefined && replay.protocol !== protocol) throw new OptionError(`--replay is of ${replay.protocol} and --protocol is ${protocol}; give one of the two`);
  const number = (option: 'nodes' | 'f' | 'transactions' | 'coordinators', least: number, most: number): number | null =>
    (values[option] === undefined ? null : whole(option, values[option], least, most));
  const job: Job = {
    protocol, driver, mutant: values.mutant ?? null,
    nodes: number('nodes', protocol === '2pc' || protocol === 'saga' ? 1 : 2, MOST_NODES), f: number('f', 0, MOST_F),
    transactions: number('transactions', 1, MOST_TRANSACTIONS), coordinators: number('coordinators', 1, MOST_COORDINATORS),
    faults: values.faults ?? '', keepGoing: values['keep-going'] === true,
  };
  checkTogether(job);
  return { job, task: taskOf(values, replay?.seed ?? null, job), json: values.json === true };
}

type Values = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv], strict: true, allowPositionals: false,
      options: {
        protocol: text, runs: text, seed: text, workers: text, 'keep-going': flag, replay: text, schedule: text, page: text,
        nodes: text, f: text, transactions: text, coordinators: text, faults: text, mutant: text, driver: flag, json: flag, help: flag,
      },
    }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message.split('. ')[0]}; see npm run simulate -- --help`);
  }
}

function replayOf(text: string): { readonly protocol: ProtocolKey | undefined; readonly seed: number } {
  const [, protocol, seed] = /^(?:([^:]*):)?([^:]*)$/.exec(text) ?? [];
  if (seed === undefined || !/^\d{1,10}$/.test(seed) || Number(seed) > LAST_SEED) {
    throw new OptionError(`--replay takes a seed from 0 to ${LAST_SEED}, alone or as protocol:seed, got "${text}"`);
  }
  return { protocol: protocol === undefined ? undefined : oneOf('replay', protocol, PROTOCOL_KEYS), seed: Number(seed) };
}

/** Options that say nothing about the other options given, or contradict them. */
function checkTogether({ protocol, driver, mutant, f, coordinators, faults }: Job): void {
  if (f !== null && protocol !== 'paxos-commit' && protocol !== 'mixed') throw new OptionError(`--f belongs to paxos-commit and mixed, got --protocol ${protocol}`);
  if (mutant !== null) mutantNamed(protocol, mutant);
  if (driver && protocol === 'textbook-3pc') throw new OptionError('--driver drives the live protocols; textbook-3pc is for the simulator alone');
  if (driver && f !== null) throw new OptionError('--f goes without --driver: there the sites are the acceptors');
  if (driver && mutant !== null) throw new OptionError('--mutant breaks a machine, --driver runs the production ones; give one of the two');
  if (driver && coordinators === 1) throw new OptionError('--coordinators takes 2 or more with --driver, got "1"');
  readFaults(driver, faults);
}

export function readFaults(driver: true, text: string): Partial<DriverFaults>;
export function readFaults(driver: false, text: string): Partial<FaultOdds>;
export function readFaults(driver: boolean, text: string): Partial<DriverFaults> | Partial<FaultOdds>;
export function readFaults(driver: boolean, text: string): Partial<DriverFaults> | Partial<FaultOdds> {
  try {
    return driver ? parseDriverFaults(text) : parseFaults(text);
  } catch (error) {
    if (!(error instanceof FaultOptionError)) throw error;
    throw new OptionError(`--faults: ${error.message}`);
  }
}

function taskOf(values: Values, replay: number | null, job: Job): Task {
  const page = values.page ?? null;
  if (replay !== null && values.schedule !== undefined) throw new OptionError('--replay and --schedule tell one run each; give one of the two');
  if (replay !== null) return { kind: 'replay', seed: replay, page };
  if (values.schedule !== undefined) return { kind: 'schedule', name: scheduleOf(values, job), page };
  if (page !== null) throw new OptionError('--page belongs to --replay and --schedule');
  return {
    kind: 'campaign',
    firstSeed: values.seed === undefined ? randomInt(0, LAST_SEED) : whole('seed', values.seed, 0, LAST_SEED),
    runs: whole('runs', values.runs ?? '10000', 1, MOST_RUNS),
    workers: whole('workers', values.workers ?? String(Math.min(MOST_WORKERS, os.availableParallelism())), 1, MOST_WORKERS),
  };
}

function scheduleOf(values: Values, job: Job): string {
  const name = oneOf('schedule', values.schedule, Object.keys(PRESETS));
  if (job.driver || job.protocol === 'mixed') throw new OptionError(`--schedule stages one transaction of one protocol; it goes with neither --driver nor mixed`);
  if (job.faults !== '' || job.transactions !== null || job.coordinators !== null) throw new OptionError('--schedule is all that happens: it goes without --faults, --transactions and --coordinators');
  if (job.nodes !== null) whole('nodes', String(job.nodes), ...SCHEDULE_NODES);
  if (job.f !== null) whole('f', String(job.f), 0, 2);
  return name;
}
