import { parseArgs } from 'node:util';
import { PROTOCOL_NAMES } from '../../libs/protocol/src/messages.ts';
import { PRESETS, presetFields } from './presets.ts';
import { type FieldName, type Fields, FIELD_NAMES, isLocal, nameOf, number, OptionError, oneOf, type RunSettings, settingsFrom, WAYS, wholeNumber } from './settings.ts';

export type LoadCommand =
  | { readonly kind: 'help' }
  | { readonly kind: 'diff'; readonly before: string; readonly after: string }
  | { readonly kind: 'measure' } & MeasureOptions
  | { readonly kind: 'state' } & MeasureOptions & { readonly finished: number; readonly unfinished: number }
  | { readonly kind: 'idle' } & IdleOptions;

export interface MeasureOptions {
  /** Each `rounds` times, in turn. At least one, no two alike. */
  readonly configurations: readonly RunSettings[];
  readonly rounds: number;
  /** Given: there is one configuration, an open loop, which is where the ramp begins. */
  readonly ramp: { readonly factor: number; readonly held: HeldBelowKnee | null } | null;
  /** Connections of the local ways. */
  readonly localPool: number;
  /** How long the stack has, after the load, until its books have to balance. */
  readonly drainSeconds: number;
  /** Null: a stack of its own. */
  readonly target: { readonly coordinatorUrls: readonly string[]; readonly tokenFile: string | null } | null;
  /** For all services of an own stack. */
  readonly environment: Readonly<Record<string, string>>;
  /** `-`: standard output, in place of the table. */
  readonly json: string | null;
  readonly html: string | null;
}

/** One run more, at that share of the knee. */
export interface HeldBelowKnee {
  readonly share: number;
  readonly seconds: number;
}

export interface IdleOptions extends Pick<MeasureOptions, 'environment' | 'json'> {
  readonly seconds: number;
  /** Before it. */
  readonly settleSeconds: number;
}

export const LOAD_HELP = `npm run load -- [options]             checkouts through Concordat, beside the same checkout as one local transaction
npm run load -- --ramp [options]      an open loop that grows until it is too much: where is the knee? --of-knee 0.7: and what are the latencies below it?
npm run load -- compare [options]     several configurations in turn, repeatedly
npm run load -- diff A B              two reports (of --json) side by side
npm run load -- state [options]       a store full of old transactions against an empty one, in turn; first the time to resume unfinished ones
npm run load -- idle [options]        what the stack takes of a core when nobody asks for anything

What is offered
  --clients LIST       closed loops of so many clients, comma separated; 1..10000 (default 1,16,64,256; also --concurrency)
  --rate R             open loop: so many arrivals a second, answered or not, 1..100000; latency counts from the intended start
  --way LIST           of ${WAYS.join(', ')} (default local,sdk; an open loop, --url and --participants: sdk)
  --protocol LIST      of ${PROTOCOL_NAMES.join(', ')} (default 2pc)
  --participants N     1..10 (default 3: orders, payments, inventory)
  --refusals SHARE     0..1: how many ask for what a participant refuses (default 0)
  --skew S             of customers and goods: uniform, hot (all on one), zipf=EXPONENT (default uniform)
  --payload BYTES      0..65536, added to each branch (default 0)
  --batch N            1..1000: transactions in a request of the way batch (default 64)
  --seed S             0..4294967295 (default 1)
  --http WAY           one: --way http; gathered: --way sdk; beside local

How it is measured
  --seconds N          measured seconds of each run, 1..3600 (default 10)
  --warmup N           seconds before it that do not count, 0..600 (default 3); of an open loop up to ten times that, until nothing is queued
  --drain N            seconds after it until the books must balance, 1..600 (default 60)
  --workers N          generator processes, 1..64 (default 1)
  --local-pool N       connections of the local ways, 1..200 (default 16)
  --ramp               begin with --rate (default 50); each step --seconds long
  --factor F           of the ramp: the next rate, 1.05..4 (default 1.25)
  --of-knee SHARE      after the ramp, on the same stack: an open loop at that share of the knee, 0.05..1
  --of-knee-seconds N  measured seconds of it, 1..3600 (default 120)

compare
  --presets LIST       of ${Object.keys(PRESETS).join(', ')}
  --run "k=v,k=v"      one configuration, repeatable; keys are the options above; what is not in it is as on the command line
  --rounds N           1..100 (default 3; also of state)

state
  --finished N         transactions that have ended, put into all tables by SQL, 1..10000000 (default 1000000)
  --unfinished N       transactions that a crash left open, half of them decided, 0..1000000 (default 10000)
  One configuration (default --way sdk --clients 256) is then measured on that store and on an empty one.

idle
  --seconds N          measured (default 30), after --warmup seconds of rest (default 15); also --set and --json

Against what
  --url LIST           coordinators that run already (default: PostgreSQL, Kafka and all services, of its own, removed afterwards)
  --token-file FILE    tokens.json of that stack, or a file that holds a token (default: CONCORDAT_TOKEN)
  --set NAME=VALUE     in the environment of the services it starts, repeatable

What comes out
  --json FILE          the report as JSON; - is standard output, without the table
  --html FILE          the report as a page of its own, with plots
  --help               this text

After each run everything is audited: a run whose books do not balance prints no figure, and its data is kept.
With --url the audit reads the databases of COORDINATOR_, ORDERS_, PAYMENTS_ and INVENTORY_DATABASE_URL if all are set, else it asks the coordinator again.
Exit code: 0 measured, 1 the books do not balance or an outcome stayed unknown, 2 wrong options, 130 interrupted.
`;

/** What the services are told by us, or what would change what is compared. */
const NOT_SET = /^(HOST|TRANSPORT|KAFKA_BROKERS|CONCORDAT_DATA_DIR|PATH)$|_(PORT|DATABASE_URL)$/;

/** @throws OptionError */
export function parseLoadOptions(argv: readonly string[]): LoadCommand {
  const { values, positionals } = parse(argv);
  if (values.help === true) return { kind: 'help' };
  const [command, ...files] = positionals;
  if (command === 'diff') return diffOf(files, argv);
  if ((command !== undefined && !isCommand(command)) || files.length > 0) throw new OptionError(`unknown command "${positionals.join(' ')}"; takes ${COMMANDS.join(', ')}, diff, or none`);
  for (const name of ['finished', 'unfinished'] as const) if (command !== 'state' && values[name] !== undefined) throw new OptionError(`--${name} is for state`);
  if (command === 'idle') return { kind: 'idle', ...idleFrom(values) };
  if (command === 'state') return { kind: 'state', ...stateFrom(values) };
  return { kind: 'measure', ...measureFrom(values, command ?? null) };
}

const COMMANDS = ['compare', 'state', 'idle'] as const;
type Command = (typeof COMMANDS)[number];

function isCommand(text: string): text is Command {
  return COMMANDS.some((command) => command === text);
}

type Values = ReturnType<typeof parse>['values'];

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const repeated = { type: 'string', multiple: true } as const;
  try {
    return parseArgs({
      args: withFileOfJson(argv), strict: true, allowPositionals: true,
      options: {
        clients: text, concurrency: text, rate: text, way: text, http: text, protocol: text, participants: text, refusals: text, skew: text, payload: text, batch: text, seed: text,
        seconds: text, warmup: text, drain: text, workers: text, 'local-pool': text, ramp: flag, factor: text, 'of-knee': text, 'of-knee-seconds': text, presets: text, run: repeated, rounds: text, finished: text, unfinished: text,
        url: text, 'token-file': text, set: repeated, json: text, html: text, help: flag,
      },
    });
  } catch (error) {
    throw new OptionError(`${(error as Error).message}. See --help.`);
  }
}

/** A bare --json means standard output: the option had no value once. */
function withFileOfJson(argv: readonly string[]): string[] {
  return argv.flatMap((argument, i) => (argument === '--json' && (argv[i + 1] ?? '--').startsWith('--') ? ['--json', '-'] : [argument]));
}

function diffOf(files: readonly string[], argv: readonly string[]): LoadCommand {
  if (files.length !== 2 || argv.length !== 3) throw new OptionError(`diff takes two reports and nothing else, got "${argv.slice(1).join(' ')}"`);
  return { kind: 'diff', before: files[0]!, after: files[1]! };
}

function measureFrom(values: Values, command: Command | null): MeasureOptions {
  const isCompare = command === 'compare';
  refuseWhatDoesNotFit(values, command);
  const configurations = isCompare ? compared(values) : plain(values);
  const local = values.url === undefined ? undefined : configurations.find(({ way }) => isLocal(way));
  if (local !== undefined) throw new OptionError(`--way ${local.way} is measured on servers of its own: leave --url out`);
  if (values.url !== undefined && values.set !== undefined) throw new OptionError('--set is for the services that are started here: leave --url out');
  return {
    configurations,
    rounds: isCompare || command === 'state' ? wholeNumber('--rounds', values.rounds ?? '3', 1, 100) : 1,
    ramp: values.ramp === true ? { factor: number('--factor', values.factor ?? '1.25', 1.05, 4), held: heldFrom(values) } : null,
    localPool: wholeNumber('--local-pool', values['local-pool'] ?? '16', 1, 200),
    drainSeconds: wholeNumber('--drain', values.drain ?? '60', 1, 600),
    target: values.url === undefined ? null : { coordinatorUrls: values.url.split(',').map(urlFrom), tokenFile: values['token-file'] ?? null },
    environment: environmentFrom(values.set ?? []),
    json: values.json ?? null, html: values.html ?? null,
  };
}

function heldFrom(values: Values): HeldBelowKnee | null {
  const share = values['of-knee'];
  return share === undefined ? null : { share: number('--of-knee', share, 0.05, 1), seconds: wholeNumber('--of-knee-seconds', values['of-knee-seconds'] ?? '120', 1, 3_600) };
}

function stateFrom(values: Values): Omit<Extract<LoadCommand, { readonly kind: 'state' }>, 'kind'> {
  for (const name of ['url', 'ramp'] as const) if (values[name] !== undefined) throw new OptionError(`--${name} does not go with state, which starts two stacks of its own`);
  const isOpen = values.rate !== undefined;
  const options = measureFrom({ ...values, ...(values.way === undefined && values.http === undefined ? { way: 'sdk' } : {}), ...(isOpen || values.clients !== undefined || values.concurrency !== undefined ? {} : { clients: '256' }) }, 'state');
  const [only] = options.configurations;
  if (options.configurations.length > 1 || isLocal(only!.way) || only!.workload.participants !== 3) throw new OptionError(`state takes one configuration with the three participants of the shop, got ${options.configurations.map(nameOf).join('; ')}`);
  return {
    ...options, finished: wholeNumber('--finished', values.finished ?? '1000000', 1, 10_000_000), unfinished: wholeNumber('--unfinished', values.unfinished ?? '10000', 0, 1_000_000),
  };
}

function idleFrom(values: Values): IdleOptions {
  const given = Object.keys(values).find((name) => !['seconds', 'warmup', 'set', 'json'].includes(name));
  if (given !== undefined) throw new OptionError(`--${given} does not go with idle`);
  return {
    seconds: wholeNumber('--seconds', values.seconds ?? '30', 1, 3_600), settleSeconds: wholeNumber('--warmup', values.warmup ?? '15', 0, 600),
    environment: environmentFrom(values.set ?? []), json: values.json ?? null,
  };
}

function refuseWhatDoesNotFit(values: Values, command: Command | null): void {
  const isCompare = command === 'compare';
  const clients = values.clients ?? values.concurrency;
  if (values.clients !== undefined && values.concurrency !== undefined) throw new OptionError('--concurrency is the older name of --clients: give one of them');
  if (values.http !== undefined && values.way !== undefined) throw new OptionError('--http is the older form of --way: give one of them');
  if (clients !== undefined && (values.rate !== undefined || values.ramp === true)) throw new OptionError(`${values.rate === undefined ? '--ramp' : '--rate'} is an open loop, --clients a closed one: give one of them`);
  for (const name of ['factor', 'of-knee'] as const) if (values[name] !== undefined && values.ramp !== true) throw new OptionError(`--${name} is for --ramp`);
  if (values['of-knee-seconds'] !== undefined && values['of-knee'] === undefined) throw new OptionError('--of-knee-seconds is for --of-knee');
  if (values['token-file'] !== undefined && values.url === undefined) throw new OptionError('--token-file is for --url: an own stack makes its own tokens');
  if (isCompare && values.ramp === true) throw new OptionError('--ramp finds the knee of one configuration: leave compare out');
  for (const name of ['presets', 'run', 'rounds'] as const) if (!isCompare && !(command === 'state' && name === 'rounds') && values[name] !== undefined) throw new OptionError(`--${name} is for compare${name === 'rounds' ? ' and state' : ''}`);
}

/** Every combination of what is given as a list; for each number of clients all ways in turn, so that they meet the same machine. */
function plain(values: Values): readonly RunSettings[] {
  const isOpen = values.rate !== undefined || values.ramp === true;
  const clients = isOpen ? [undefined] : listOf(values.clients ?? values.concurrency ?? '1,16,64,256');
  const isWholeCheckout = (values.participants ?? '3') === '3';
  const ways = waysOf(values, isOpen || values.url !== undefined || !isWholeCheckout ? 'sdk' : 'local,sdk');
  const protocols = listOf(values.protocol ?? '2pc');
  const common = { ...fieldsOf(values), ...(values.ramp === true && values.rate === undefined ? { rate: '50' } : {}) };
  const all = clients.flatMap((n) => ways.flatMap((way) => protocols.map((protocol) => settingsFrom({ ...common, ...(n === undefined ? {} : { clients: n }), way, protocol }, (name) => `--${name}`))));
  const distinct = [...new Map(all.map((settings) => [nameOf(settings), settings])).values()];
  if (values.ramp === true && distinct.length > 1) throw new OptionError(`--ramp finds the knee of one configuration, got ${distinct.length}: ${distinct.map(nameOf).join('; ')}`);
  return distinct;
}

/** The presets and the runs; without either, what the lists on the command line come to. */
function compared(values: Values): readonly RunSettings[] {
  const runs = values.run ?? [];
  const presets = values.presets === undefined ? [] : listOf(values.presets).map((name) => oneOf('--presets', name, Object.keys(PRESETS) as (keyof typeof PRESETS)[]));
  if (presets.length + runs.length === 0) {
    const hasList = [values.way, values.protocol, values.clients, values.concurrency].some((text) => text?.includes(','));
    const lists = !hasList ? [] : plain({ ...values, ...(values.rate === undefined && values.clients === undefined && values.concurrency === undefined ? { clients: '64' } : {}) });
    if (lists.length < 2) throw new OptionError('compare takes --presets, --run, or lists for --way, --protocol or --clients: there is nothing to compare');
    return lists;
  }
  const base = fieldsOf(values);
  const all = [
    ...presets.flatMap((name) => presetFields(name, base).map((fields) => settingsFrom(fields, (field) => `--${field}`))),
    ...runs.map((text) => settingsFrom(overlay(base, pairsOf(text)), (field) => `--run "${text}": ${field}`)),
  ];
  return [...new Map(all.map((settings) => [nameOf(settings), settings])).values()];
}

/** What was given, as it was given: a list is refused where one value is taken. */
function fieldsOf(values: Values): Fields {
  const given = { ...values, clients: values.clients ?? values.concurrency, way: values.http === undefined ? values.way : waysOf(values, '').at(-1) };
  return Object.fromEntries(FIELD_NAMES.flatMap((name) => { const text = given[name]; return text === undefined ? [] : [[name, text]]; }));
}

/** A loop of one kind takes the place of one of the other kind. */
function overlay(base: Fields, over: Fields): Fields {
  const { rate, clients, ...rest } = base;
  if (over.rate !== undefined || over.clients !== undefined) return { ...rest, ...over };
  return { ...rest, ...(rate === undefined ? {} : { rate }), ...(clients === undefined ? {} : { clients }), ...over };
}

function pairsOf(text: string): Fields {
  return Object.fromEntries(text.split(',').map((pair) => {
    const at = pair.indexOf('=');
    const name = oneOf(`--run "${text}"`, (at < 0 ? pair : pair.slice(0, at)).trim(), FIELD_NAMES);
    if (at < 0) throw new OptionError(`--run "${text}": ${name} has no value; write ${name}=VALUE`);
    return [name, pair.slice(at + 1).trim()] as const satisfies readonly [FieldName, string];
  }));
}

function waysOf({ way, http, rate, ramp, url }: Values, fallback: string): readonly string[] {
  if (http === undefined) return listOf(way ?? fallback);
  const one = oneOf('--http', http, ['one', 'gathered']) === 'one' ? 'http' : 'sdk';
  return rate !== undefined || ramp === true || url !== undefined ? [one] : ['local', one];
}

function listOf(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

function urlFrom(text: string): string {
  if (!/^https?:\/\/[^/]+\/?$/.test(text) || !URL.canParse(text)) throw new OptionError(`--url takes addresses such as http://127.0.0.1:3000, comma separated, got "${text}"`);
  return text.replace(/\/$/, '');
}

function environmentFrom(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs.map((pair) => {
    const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) throw new OptionError(`--set takes NAME=VALUE, got "${pair}"`);
    if (NOT_SET.test(name)) throw new OptionError(`--set takes no ${name}: addresses and folders are chosen here`);
    return [name, value] as const;
  }));
}
