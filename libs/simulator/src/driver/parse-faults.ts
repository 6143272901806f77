/** Reads overrides of the driver's faults: `crashes=3,loseAnswer=0.1`. */
import { FaultOptionError } from '../world/parse-faults.js';
import { CALM, type DriverFaults } from './faults.js';

type Key = keyof DriverFaults;

const COUNTS: readonly Key[] = ['crashes', 'stops', 'rebalances', 'outages', 'clockJumps'];

function rangeOf(key: Key): readonly [number, number] {
  if (key === 'faultyMs') return [100, 60_000];
  if (key.endsWith('Ms')) return [0, 60_000];
  return COUNTS.includes(key) ? [0, 50] : [0, 0.9];
}

/**
 * @param text `key=value` pairs, separated by commas; `none` alone turns every fault off
 * @throws FaultOptionError
 */
export function parseDriverFaults(text: string): Partial<DriverFaults> {
  const trimmed = text.trim();
  if (trimmed === '') return {};
  if (trimmed === 'none') return CALM;
  const faults: { -readonly [K in Key]?: number } = {};
  for (const pair of trimmed.split(',')) {
    const [name = '', value = '', ...more] = pair.split('=').map((part) => part.trim());
    if (!Object.hasOwn(CALM, name)) throw new FaultOptionError(`the driver has no fault "${name}"; there are: ${Object.keys(CALM).join(', ')} (key=value, separated by commas; or none)`);
    const key = name as Key;
    const [least, most] = rangeOf(key);
    if (more.length > 0 || !/^\d+(\.\d+)?$/.test(value) || Number(value) < least || Number(value) > most) {
      throw new FaultOptionError(`${key} takes a number from ${least} to ${most}, got "${value}"`);
    }
    if (key in faults) throw new FaultOptionError(`${key} is given twice`);
    faults[key] = Number(value);
  }
  return faults;
}
