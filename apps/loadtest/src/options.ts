import { parseArgs } from 'node:util';
import { PROTOCOL_NAMES, type ProtocolName } from '#libs/protocol';

export interface LoadOptions {
  readonly concurrencies: readonly number[];
  /** Arrivals a second of an open loop; null: closed loops. */
  readonly ratePerSecond: number | null;
  readonly protocol: ProtocolName;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly coordinatorUrls: readonly string[];
  readonly token: string;
  readonly localDatabaseUrl: string | null;
  readonly localPool: number;
  /** Whether the client sends a request for each transaction, or gathers them. */
  readonly http: 'one' | 'gathered';
  readonly json: boolean;
  /** Processes whose CPU time is reported, by name. */
  readonly watch: ReadonlyMap<string, number>;
}

export const LOAD_HELP = `npm run load -- [options]      checkouts: closed loops beside the same checkout as one local transaction, or an open loop

  --rate R             open loop: so many arrivals a second, answered or not; latency counts from the intended start (default: closed loops)
  --protocol P         ${PROTOCOL_NAMES.join(', ')} (default 2pc)
  --concurrency LIST   clients, comma separated              (default 1,16,64,256)
  --seconds N          measured seconds of each run, 1..600  (default 10)
  --warmup N           seconds before it, 0..600             (default 3)
  --local-pool N       connections of the local run, 1..200  (default 16)
  --http WAY           one: a request for each transaction; gathered: concurrent ones together (default gathered)
  --json               one JSON document instead of the table
  --help               this text

Starts Kafka, Postgres and all services for the run, with data of their own, and removes them afterwards.
`;

/** Bad options; the message names the option, what it got and what it takes. */
export class OptionError extends Error {
  readonly code = 'INVALID_OPTION';
}

/** Options given on the command line; addresses and the token come from the environment, set by the launcher. */
export function parseLoadOptions(argv: readonly string[], env: NodeJS.ProcessEnv): LoadOptions | 'help' {
  const values = parse(argv);
  if (values.help === true) return 'help';
  return {
    concurrencies: values.concurrency!.split(',').map((part) => integer('--concurrency', part, 1, 10_000)),
    ratePerSecond: values.rate === undefined ? null : integer('--rate', values.rate, 1, 100_000),
    protocol: protocolOf(values.protocol!),
    seconds: integer('--seconds', values.seconds!, 1, 600),
    warmupSeconds: integer('--warmup', values.warmup!, 0, 600),
    localPool: integer('--local-pool', values['local-pool']!, 1, 200),
    http: httpWay(values.http!),
    json: values.json === true,
    coordinatorUrls: required(env, 'COORDINATOR_URL').split(','),
    token: required(env, 'CONCORDAT_TOKEN'),
    localDatabaseUrl: env.LOCAL_DATABASE_URL ?? null,
    watch: new Map((env.LOAD_WATCH ?? '').split(',').filter((part) => part !== '').map((part) => [part.split('=')[0]!, Number(part.split('=')[1])])),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv], strict: true, allowPositionals: false,
      options: {
        concurrency: { type: 'string', default: '1,16,64,256' }, rate: { type: 'string' }, protocol: { type: 'string', default: '2pc' }, seconds: { type: 'string', default: '10' }, warmup: { type: 'string', default: '3' },
        'local-pool': { type: 'string', default: '16' }, http: { type: 'string', default: 'gathered' }, json: { type: 'boolean' }, help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new OptionError(`${(error as Error).message}. See --help.`);
  }
}

function httpWay(text: string): 'one' | 'gathered' {
  if (text !== 'one' && text !== 'gathered') throw new OptionError(`--http takes one or gathered, got "${text}"`);
  return text;
}

function protocolOf(text: string): ProtocolName {
  const protocol = PROTOCOL_NAMES.find((name) => name === text);
  if (protocol === undefined) throw new OptionError(`--protocol takes ${PROTOCOL_NAMES.join(', ')}, got "${text}"`);
  return protocol;
}

function integer(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) throw new OptionError(`${option} takes a whole number from ${min} to ${max}, got "${text}"`);
  return value;
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') throw new OptionError(`${name} is not set; start this with: npm run load`);
  return value;
}
