import { parseArgs } from 'node:util';
import {
  BoundsError, CHECK_PRESETS, CHECKED_PROTOCOLS, CheckedSystemError, DEFAULT_BOUNDS, type Bounds, type CheckedOptions, type CheckedProtocol, type CheckPreset,
} from '#libs/simulator';
import { mutantNamed } from './mutant.js';
import { oneOf, whole } from './numbers.js';
import { OptionError } from './option-error.js';
import { kindsOf, type Votes } from './small-system.js';

/** Plain data, so that it can go to a thread. */
export interface CheckJob {
  /** Of a preset; null: the options say it all. */
  readonly name: string | null;
  readonly protocol: CheckedProtocol;
  readonly mutant: string | null;
  readonly votes: Votes;
  readonly kinds: NonNullable<CheckedOptions['kinds']>;
  readonly f: number;
  readonly bounds: Partial<Bounds>;
}

export interface CheckOptions {
  readonly jobs: readonly CheckJob[];
  readonly page: string | null;
  readonly json: boolean;
}

/** Option, bound, least, most, what it counts. */
const COUNTS = [
  ['crashes', 'crashes', 0, 7, 'processes that crash, together'],
  ['take-overs', 'takeOvers', 0, 2, 'take-overs of the coordinator; the old one lives on'],
  ['losses', 'losses', 0, 7, 'messages that are dropped'],
  ['elections', 'firings', 0, 7, 'firings of all timers of one name: elections, inquiries, resends'],
  ['commands', 'commands', 0, 7, 'of clients and operators'],
  ['starts', 'starts', 0, 7, 'requests for the same transaction'],
  ['max-states', 'mostStates', 1, 200_000_000, 'where the search gives up'],
  ['heal-every', 'healEvery', 0, 1_000_000_000, 'from every n-th state all must end; 0: never'],
] as const;

export const CHECK_HELP = `npm run check -- --protocol P [options]     every order of events of a small system, breadth first

  --protocol P       ${CHECKED_PROTOCOLS.join(', ')}; all, for the presets of all

With nothing else all presets of the protocol are checked, one after the other, each explored to the end.
  --preset NAME      only this one; repeat it for more: ${CHECK_PRESETS.map((preset, i) => (i % 4 === 0 ? '\n                       ' : '') + preset.name).join(', ')}

Or a system and bounds of your own:
  --participants N   or steps of a saga, 1 to 5 (2 to 5 but for 2pc and saga)   (default 3)
  --votes LIST       instead: yes, no or read-only for each                     (default all yes)
  --f F              Paxos Commit's acceptors are 2F+1, 0 to 2                  (default 1)
${COUNTS.map(([option, bound, , , text]) => `  ${`--${option} N`.padEnd(18)} ${text.padEnd(60)} (default ${String(DEFAULT_BOUNDS[bound])})`).join('\n')}
  --duplicates N     deliveries after which a copy stays; or unlimited           (default 0)
  --timer NAME=N     firings of this timer, or of one role's: "resolve at participant 1=2"; repeat it for more
  --crash-points P   all, or idle: between two steps only                        (default all)
  --feedback F       when a process hears its store: any-time, or at-once        (default any-time)
  --mutant NAME      a broken machine of the protocol (npm run mutants)
  --page FILE        where the page of a counterexample goes                     (default .concordat/simulations/check-P.html)
  --json             one JSON object instead of text
  --help             this text

What is explored, and what the bounds leave out: docs/checker.md. Exit code: 0 nothing is violated, 1 something is (the shortest way
there is printed), 2 bad options, 130 stopped.

  npm run check -- --protocol 3pc
  npm run check -- --protocol 2pc --participants 2 --crashes 2
  npm run check -- --protocol paxos-commit --participants 2 --elections 1 --crash-points idle
  npm run check -- --protocol textbook-3pc --losses 1
`;

export function parseCheckOptions(argv: readonly string[]): CheckOptions | 'help' {
  const values = parse(argv);
  if (values.help === true) return 'help';
  const { protocol: chosen, json = false, page = null, preset: presets, ...own } = values;
  const protocols = oneOf('protocol', chosen, [...CHECKED_PROTOCOLS, 'all'] as const);
  const isOwn = Object.keys(own).length > 0;
  if (presets !== undefined && isOwn) throw new OptionError(`--preset says what is checked; it goes without --${Object.keys(own).join(', --')}`);
  if (!isOwn && protocols !== 'textbook-3pc') return { jobs: presetsOf(protocols, presets), page, json };
  if (protocols === 'all') throw new OptionError('--protocol all is for presets; it goes with --preset, --page and --json only');
  return { jobs: [ownJob(values, protocols)], page, json };
}

function presetsOf(protocol: CheckedProtocol | 'all', names: readonly string[] | undefined): readonly CheckJob[] {
  const of = CHECK_PRESETS.filter((preset) => protocol === 'all' || preset.protocol === protocol);
  for (const name of names ?? []) oneOf('preset', name, of.map((preset) => preset.name));
  return of.filter(({ name }) => names === undefined || names.includes(name)).map(presetJob);
}

function presetJob({ name, protocol, options: { votes = ALL_YES, kinds = kindsOf(votes.length), f = 1 }, bounds }: CheckPreset): CheckJob {
  return { name, protocol, mutant: null, votes, kinds, f, bounds };
}

const ALL_YES: Votes = ['yes', 'yes', 'yes'];

function ownJob(values: Values, protocol: CheckedProtocol): CheckJob {
  if (values.f !== undefined && protocol !== 'paxos-commit') throw new OptionError(`--f belongs to paxos-commit, got --protocol ${protocol}`);
  if (values.mutant !== undefined) mutantNamed(protocol, values.mutant);
  const votes = votesOf(values, protocol);
  return { name: null, protocol, mutant: values.mutant ?? null, votes, kinds: kindsOf(votes.length), f: whole('f', values.f ?? '1', 0, 2), bounds: boundsOf(values) };
}

type Values = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv], strict: true, allowPositionals: false,
      options: {
        protocol: text, preset: { ...text, multiple: true }, participants: text, votes: text, f: text, crashes: text, 'take-overs': text, losses: text, elections: text, commands: text, starts: text,
        'max-states': text, 'heal-every': text, duplicates: text, timer: { ...text, multiple: true }, 'crash-points': text, feedback: text, mutant: text, page: text, json: flag, help: flag,
      },
    }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message.split('. ')[0]}; see npm run check -- --help`);
  }
}

function votesOf({ participants, votes }: Values, protocol: CheckedProtocol): Votes {
  const least = protocol === '2pc' || protocol === 'saga' ? 1 : 2;
  if (votes === undefined) return Array.from({ length: whole('participants', participants ?? '3', least, 5) }, () => 'yes');
  if (participants !== undefined) throw new OptionError('--votes says how many participants there are; it goes without --participants');
  const list = votes.split(',').map((vote) => oneOf('votes', vote.trim(), ['yes', 'no', 'read-only'] as const));
  whole('votes', String(list.length), least, 5);
  return list;
}

function boundsOf(values: Values): Partial<Bounds> {
  const bounds: { -readonly [K in keyof Bounds]?: Bounds[K] } = {};
  for (const [option, bound, least, most] of COUNTS) if (values[option] !== undefined) bounds[bound] = whole(option, values[option], least, most);
  const { duplicates, timer } = values;
  if (duplicates !== undefined) bounds.duplicates = duplicates === 'unlimited' ? duplicates : whole('duplicates', duplicates, 0, 7);
  if (timer !== undefined) bounds.timers = Object.fromEntries(timer.map(timerOf));
  if (values['crash-points'] !== undefined) bounds.crashPoints = oneOf('crash-points', values['crash-points'], ['all', 'idle'] as const);
  if (values.feedback !== undefined) bounds.feedback = oneOf('feedback', values.feedback, ['any-time', 'at-once'] as const) === 'at-once' ? 'at once' : 'any time';
  return bounds;
}

function timerOf(text: string): [string, number] {
  const [, name, count] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined) throw new OptionError(`--timer takes NAME=N, got "${text}"`);
  return [name, whole(`timer ${name}`, count!, 0, 7)];
}

/** What the checker itself refuses, as a bad option. */
export function asOptionError(error: unknown): unknown {
  return error instanceof BoundsError || error instanceof CheckedSystemError ? new OptionError(error.message) : error;
}
