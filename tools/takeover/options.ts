import { SetupError } from '../stack/setup-error.ts';

export interface TakeoverOptions {
  /** How many times one of two instances is killed with -9, for each role. */
  readonly kills: number;
  /** How many times one is stopped cleanly, and then started again beside the other. */
  readonly stops: number;
  /** Offered transactions per second. */
  readonly rate: number;
  readonly sessionTimeoutMs: number | null;
  readonly heartbeatMs: number | null;
  /** Started again at once after a kill, as a supervisor would, instead of when the other has taken over. */
  readonly restartAtOnce: boolean;
  readonly roles: readonly Role[];
  readonly json: boolean;
}

export type Role = 'coordinator' | 'participant';

export const USAGE = `npm run takeover -- [options]

Starts PostgreSQL, Kafka, the services, and a second coordinator and payments service, offers checkouts, kills one of two instances
with -9 at random moments, stops them cleanly and starts them again, and tells how long their work waited. Audits all databases at the end.

  --kills N               kills for each role (default 20)
  --stops N               clean stops for each role, each followed by a start (default 5)
  --rate N                transactions offered per second (default 40)
  --session-timeout MS    KAFKA_SESSION_TIMEOUT_MS of the services (default: the services' own)
  --heartbeat MS          KAFKA_HEARTBEAT_MS of the services (default: the services' own)
  --restart-at-once       start a killed instance again at once, not only when the other has taken over
  --role NAME             coordinator or participant (default: both)
  --json                  the report as JSON`;

/** @returns null when help was asked for. @throws SetupError INVALID_CONFIGURATION that names the option */
export function optionsFrom(args: readonly string[]): TakeoverOptions | null {
  const given = new Map<string, string>();
  const flags = new Set<string>();
  for (let i = 0; i < args.length; i += 1) {
    const name = args[i]!;
    if (name === '--help') return null;
    if (name === '--json' || name === '--restart-at-once') flags.add(name);
    else if (['--kills', '--stops', '--rate', '--session-timeout', '--heartbeat', '--role'].includes(name)) given.set(name, args[i += 1] ?? '');
    else throw invalid(`${name} is no option; --help lists them`);
  }
  const whole = (name: string, fallback: number, min: number, max: number): number => {
    const text = given.get(name) ?? String(fallback);
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) throw invalid(`${name} got "${text}"; it takes a whole number from ${min} to ${max}`);
    return value;
  };
  const role = given.get('--role');
  if (role !== undefined && role !== 'coordinator' && role !== 'participant') throw invalid(`--role got "${role}"; it takes "coordinator" or "participant"`);
  return {
    kills: whole('--kills', 20, 0, 1_000),
    stops: whole('--stops', 5, 0, 1_000),
    rate: whole('--rate', 40, 1, 5_000),
    sessionTimeoutMs: given.has('--session-timeout') ? whole('--session-timeout', 3_000, 1_000, 300_000) : null,
    heartbeatMs: given.has('--heartbeat') ? whole('--heartbeat', 250, 50, 100_000) : null,
    restartAtOnce: flags.has('--restart-at-once'),
    roles: role === undefined ? ['coordinator', 'participant'] : [role],
    json: flags.has('--json'),
  };
}

function invalid(message: string): SetupError {
  return new SetupError('INVALID_CONFIGURATION', message);
}
