/** Reads overrides of the drawn faults: `loss=0.1,partitions=off,faultMs=2000`. */
import { NO_FAULTS, type FaultKey, type FaultOdds } from './faults.js';

/** A text that is no override; the message tells what would be. */
export class FaultOptionError extends Error {
  readonly code = 'INVALID_FAULTS';
  constructor(message: string) {
    super(message);
    this.name = 'FaultOptionError';
  }
}

const ODDS = [0, 1] as const;
const RATE = [0, 200] as const;
const LENGTH_MS = [0, 60_000] as const;

/** What each key takes, both ends included. */
export const FAULT_RANGES: { readonly [K in FaultKey]: readonly [number, number] } = {
  fromMs: LENGTH_MS, faultMs: LENGTH_MS, latencyMs: LENGTH_MS, flushMs: [0, 1000],
  loss: [0, 0.9], duplicate: [0, 0.9], spreadMs: LENGTH_MS, partitions: RATE, oneWay: ODDS, partitionMs: LENGTH_MS,
  crashBeforeFlush: ODDS, crashAfterFlush: ODDS, crashBetweenSends: ODDS, crashes: RATE, restartMs: LENGTH_MS, loseSite: ODDS, flushFailure: [0, 0.9], slow: RATE,
  slowFactor: [1, 1000], slowMs: LENGTH_MS, skewMs: LENGTH_MS, clockJumps: RATE, clockJumpMs: LENGTH_MS, hasty: ODDS, takeOvers: RATE, wrongOwnerMs: LENGTH_MS, stray: ODDS,
  retryElsewhere: ODDS, cancel: ODDS, commands: RATE,
};

/**
 * @param text `key=value` pairs, separated by commas; `off` is 0; `none` alone turns every fault off
 * @throws FaultOptionError
 */
export function parseFaults(text: string): Partial<FaultOdds> {
  const trimmed = text.trim();
  if (trimmed === '') return {};
  if (trimmed === 'none') return NO_FAULTS;
  const faults: { -readonly [K in FaultKey]?: number } = {};
  for (const pair of trimmed.split(',')) {
    const [key, value] = pairOf(pair);
    if (key in faults) throw new FaultOptionError(`${key} is given twice`);
    faults[key] = valueOf(key, value);
  }
  return faults;
}

function pairOf(pair: string): readonly [FaultKey, string] {
  const [key, value, more] = pair.split('=').map((part) => part.trim());
  if (key === undefined || !Object.hasOwn(FAULT_RANGES, key)) {
    const known = Object.keys(FAULT_RANGES).join(', ');
    throw new FaultOptionError(`there is no fault "${key ?? ''}"; there are: ${known} (key=value, separated by commas; or none)`);
  }
  const known = key as FaultKey;
  if (value === undefined || value === '' || more !== undefined) throw new FaultOptionError(`${key} takes one value, as in ${key}=${FAULT_RANGES[known][1]}`);
  return [known, value];
}

function valueOf(key: FaultKey, text: string): number {
  const [from, to] = FAULT_RANGES[key];
  const value = text === 'off' ? 0 : Number(text);
  if (!/^(off|\d+(\.\d+)?)$/.test(text) || value < from || value > to) {
    throw new FaultOptionError(`${key} takes a number from ${from} to ${to}${from === 0 ? ' or off' : ''}, got "${text}"`);
  }
  return value;
}
