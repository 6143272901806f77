import { parseArgs } from 'node:util';
import { PROTOCOL_NAMES, type ProtocolName } from '../../libs/protocol/src/messages.ts';
import { type FaultKind, KINDS } from './schedule.ts';

export const COMMANDS = ['run', 'overload', 'soak', 'slow-participant'] as const;
export type Command = (typeof COMMANDS)[number];

export interface ChaosOptions {
  readonly command: Command;
  readonly minutes: number;
  readonly seconds: number;
  readonly seed: number;
  readonly ratePerSecond: number;
  /** Of the soak, which otherwise measures what it can do. */
  readonly rateGiven: boolean;
  readonly protocols: ReadonlyMap<ProtocolName, number>;
  readonly kinds: readonly FaultKind[];
  readonly json: string | null;
  readonly html: string | null;
  /** Null: a temporary folder, kept only if something was found. */
  readonly dataDir: string | null;
  /** Tell the schedule, and do nothing. */
  readonly plan: boolean;
}

export const CHAOS_HELP = `npm run chaos -- [options]                     real processes under load, while everything around them fails; then the audit
npm run chaos -- overload [options]            three times what they can do
npm run chaos -- soak [options]                half of what they can do, for long: does anything grow?
npm run chaos -- slow-participant [options]    one participant slow, then dead: do the others' transactions notice?

  --minutes N          of the load; 0.5..1440 (default: chaos 5, soak 30)
  --seconds N          overload: of the overload, slow-participant: of each part; 5..3600 (default 60 and 20)
  --seed S             0..4294967295; the schedule of faults and the requests are functions of it (default: any)
  --rate R             offered transactions a second, 1..10000 (default 50; soak: half of what is measured)
  --protocols LIST     of ${PROTOCOL_NAMES.join(', ')}; with weights if wanted: 2pc=3,saga=1 (default: all alike)
  --faults LIST        chaos: only these kinds of ${KINDS.join(', ')} (default: all)
  --plan               chaos: print the schedule of faults of this seed, and end
  --json FILE          the report as JSON
  --html FILE          the report as a page of its own, with plots
  --data-dir DIR       where servers keep their data and every process its log (default: a temporary folder, kept if something is found)
  --help               this text

Two coordinators and two instances of each participant run against real PostgreSQL and Kafka, each through TCP proxies of its own.
Faults: kill -9, SIGTERM and SIGSTOP of processes, ends and crashes of both servers, connections cut, frozen and delayed; several at once now and then.
The variable KAFKA_CLIENT (kafkajs, platformatic) is handed to all services.
Exit code: 0 nothing found, 1 violations (or growth, or a neighbour that was slowed), 2 wrong options, 130 interrupted.
`;

/** Bad options; the message names the option, what it got and what it takes. */
export class OptionError extends Error {
  readonly code = 'INVALID_OPTION';
}

/** @throws OptionError */
export function parseChaosOptions(argv: readonly string[]): ChaosOptions | 'help' {
  const { values, positionals } = parse(argv);
  if (values.help === true) return 'help';
  const command = commandOf(positionals);
  const minutes = number('--minutes', values.minutes ?? (command === 'soak' ? '30' : '5'), 0.5, 1440);
  return {
    command, minutes,
    seconds: number('--seconds', values.seconds ?? (command === 'overload' ? '60' : '20'), 5, 3600),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : whole('--seed', values.seed, 0, 2 ** 32 - 1),
    ratePerSecond: number('--rate', values.rate ?? '50', 1, 10_000),
    rateGiven: values.rate !== undefined,
    protocols: weights(values.protocols ?? PROTOCOL_NAMES.join(',')),
    kinds: kinds(values.faults),
    json: values.json ?? null, html: values.html ?? null, dataDir: values['data-dir'] ?? null, plan: values.plan === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean' } as const;
    return parseArgs({
      args: [...argv], strict: true, allowPositionals: true,
      options: { minutes: text, seconds: text, seed: text, rate: text, protocols: text, faults: text, json: text, html: text, 'data-dir': text, plan: flag, help: flag },
    });
  } catch (error) {
    throw new OptionError(`${(error as Error).message}. See --help.`);
  }
}

function commandOf(positionals: readonly string[]): Command {
  const [command = 'run', ...rest] = positionals;
  const known = COMMANDS.find((name) => name === command);
  if (known === undefined || rest.length > 0) throw new OptionError(`unknown command "${positionals.join(' ')}"; takes ${COMMANDS.slice(1).join(', ')}, or none for chaos`);
  return known;
}

function weights(list: string): ReadonlyMap<ProtocolName, number> {
  return new Map(list.split(',').map((part) => {
    const [name, weight = '1'] = part.trim().split('=');
    const protocol = PROTOCOL_NAMES.find((known) => known === name);
    if (protocol === undefined) throw new OptionError(`--protocols takes ${PROTOCOL_NAMES.join(', ')}, got "${name}"`);
    return [protocol, number(`--protocols ${name}=`, weight, 0.01, 1000)] as const;
  }));
}

function kinds(list: string | undefined): readonly FaultKind[] {
  if (list === undefined) return KINDS;
  return list.split(',').map((name) => {
    const kind = KINDS.find((known) => known === name.trim());
    if (kind === undefined) throw new OptionError(`--faults takes ${KINDS.join(', ')}, got "${name}"`);
    return kind;
  });
}

function number(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) throw new OptionError(`${option} takes a number from ${min} to ${max}, got "${text}"`);
  return value;
}

function whole(option: string, text: string, min: number, max: number): number {
  const value = number(option, text, min, max);
  if (!Number.isInteger(value)) throw new OptionError(`${option} takes a whole number from ${min} to ${max}, got "${text}"`);
  return value;
}
