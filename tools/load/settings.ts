import { PROTOCOL_NAMES } from '../../libs/protocol/src/messages.ts';
import type { Skew, Way } from '../../apps/loadtest/src/contract.ts';
import type { RunReport } from './report-types.ts';

/** What one run does. */
export type RunSettings = RunReport['settings'];

export const WAYS = ['sdk', 'http', 'batch', 'local', 'local-single', 'local-http'] as const satisfies readonly Way[];

/** Settings as they are written: `--<name> VALUE` on the command line, `name=VALUE` in --run. */
export type FieldName = 'way' | 'clients' | 'rate' | 'protocol' | 'participants' | 'refusals' | 'skew' | 'payload' | 'batch' | 'workers' | 'seconds' | 'warmup' | 'seed';
export type Fields = Readonly<Partial<Record<FieldName, string>>>;

export const DEFAULT_FIELDS: Readonly<Record<Exclude<FieldName, 'rate'>, string>> = {
  way: 'sdk', clients: '64', protocol: '2pc', participants: '3', refusals: '0', skew: 'uniform', payload: '0', batch: '64', workers: '1', seconds: '10', warmup: '3', seed: '1',
};

export const FIELD_NAMES = [...Object.keys(DEFAULT_FIELDS), 'rate'] as readonly FieldName[];

/** Bad options; the message names the option, what it got and what it takes. */
export class OptionError extends Error {
  readonly code = 'INVALID_OPTION';
}

/**
 * Fields that are not given have their defaults. A rate makes the loop an open one, whatever the number of clients.
 * @param spelled how a field is called in messages
 * @throws OptionError
 */
export function settingsFrom(given: Fields, spelled: (name: FieldName) => string): RunSettings {
  const text = (name: Exclude<FieldName, 'rate'>): string => given[name] ?? DEFAULT_FIELDS[name];
  const whole = (name: Exclude<FieldName, 'rate'>, min: number, max: number): number => wholeNumber(spelled(name), text(name), min, max);
  const loop: RunSettings['loop'] = given.rate === undefined
    ? { kind: 'closed', clients: whole('clients', 1, 10_000) }
    : { kind: 'open', ratePerSecond: wholeNumber(spelled('rate'), given.rate, 1, 100_000) };
  const workers = whole('workers', 1, 64);
  const way = oneOf(spelled('way'), text('way'), WAYS);
  const participants = whole('participants', 1, 10);
  if (isLocal(way) && participants !== 3) throw new OptionError(`${spelled('way')} ${way} is the whole checkout: ${spelled('participants')} takes 3 there, got "${participants}"`);
  return {
    way, loop,
    workload: {
      protocol: oneOf(spelled('protocol'), text('protocol'), PROTOCOL_NAMES), participants,
      refusalShare: number(spelled('refusals'), text('refusals'), 0, 1), skew: skewFrom(spelled('skew'), text('skew')),
      payloadBytes: whole('payload', 0, 65_536), seed: whole('seed', 0, 2 ** 32 - 1),
    },
    warmupSeconds: whole('warmup', 0, 600), seconds: whole('seconds', 1, 3_600), batchSize: whole('batch', 1, 1_000),
    // A worker without a client would have nothing to do.
    workers: loop.kind === 'closed' ? Math.min(workers, loop.clients) : workers,
  };
}

/** For tables, and to tell configurations apart: `2pc, sdk, 256 clients`, and after it what is not as usual. Two of one name are the same but for times and seed. */
export function nameOf({ way, loop, workload, batchSize, workers }: RunSettings): string {
  const { protocol, participants, refusalShare, skew, payloadBytes } = workload;
  return [
    ...(isLocal(way) ? [way] : [protocol, way]),
    loop.kind === 'closed' ? `${loop.clients} client${loop.clients === 1 ? '' : 's'}` : `${loop.ratePerSecond}/s`,
    ...(isLocal(way) || participants === 3 ? [] : [`${participants} participant${participants === 1 ? '' : 's'}`]),
    ...(refusalShare === 0 ? [] : [`${Number((refusalShare * 100).toFixed(2))} % refused`]),
    ...(skew === 'uniform' ? [] : [skew === 'hot' ? 'one hot key' : `zipf ${skew.zipf}`]),
    ...(isLocal(way) || payloadBytes === 0 ? [] : [`${payloadBytes} B`]),
    ...(way === 'batch' ? [`batches of ${batchSize}`] : []),
    ...(workers === 1 ? [] : [`${workers} generators`]),
  ].join(', ');
}

/** The monolith, without a coordinator. */
export function isLocal(way: Way): way is 'local' | 'local-single' | 'local-http' {
  return way === 'local' || way === 'local-single' || way === 'local-http';
}

/** @throws OptionError */
export function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found === undefined) throw new OptionError(`${option} takes ${known.join(', ')}, got "${text}"`);
  return found;
}

/** @throws OptionError */
export function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) throw new OptionError(`${option} takes a whole number from ${min} to ${max}, got "${text}"`);
  return value;
}

/** @throws OptionError */
export function number(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) throw new OptionError(`${option} takes a number from ${min} to ${max}, got "${text}"`);
  return value;
}

function skewFrom(option: string, text: string): Skew {
  if (text === 'uniform' || text === 'hot') return text;
  const [kind, exponent = ''] = text.split('=');
  if (kind !== 'zipf') throw new OptionError(`${option} takes uniform, hot or zipf=EXPONENT, got "${text}"`);
  return { zipf: number(`${option} zipf=`, exponent, 0.1, 3) };
}
