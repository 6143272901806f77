import { OptionError } from './option-error.js';

export const LAST_SEED = 0xffff_ffff;

/** @throws OptionError naming the option, what it got and what it takes */
export function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < least || value > most) throw new OptionError(`--${option} takes a whole number from ${least} to ${most}, got "${text}"`);
  return value;
}

export function oneOf<T extends string>(option: string, text: string | undefined, allowed: readonly T[]): T {
  if (text === undefined) throw new OptionError(`--${option} is missing; it takes one of ${allowed.join(', ')}`);
  if (!(allowed as readonly string[]).includes(text)) throw new OptionError(`--${option} takes one of ${allowed.join(', ')}, got "${text}"`);
  return text as T;
}

/** 1234567 -> 1,234,567 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A duration in the unit that suits it. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
