import { isTxid, type Json, type Txid } from '#libs/protocol';
import { DecodeError } from './errors.js';
import { isStorableText, jsonProblem } from './json-guard.js';

/** Names become parts of topic names, so they keep to what Kafka allows there. */
export const PARTICIPANT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Reads typed fields out of parsed JSON; every reader throws a DecodeError that names the field. */
export class Fields {
  constructor(private readonly source: Readonly<Record<string, unknown>>, private readonly path: string) {}

  static of(value: unknown, path: string): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(path, 'an object', value);
    return new Fields(value as Record<string, unknown>, path);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.source, name) && this.source[name] !== undefined;
  }

  txid(): Txid {
    const value = this.get('txid');
    if (!isTxid(value)) throw invalid(this.at('txid'), 'a transaction id', value);
    return value;
  }

  /** A non-negative integer up to `max`. */
  index(name: string, max: number): number {
    return this.integer(name, 0, max);
  }

  integer(name: string, min: number, max: number): number {
    const value = this.get(name);
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) throw invalid(this.at(name), `an integer within ${min}..${max}`, value);
    // JSON knows -0, which is the same number and yet not always equal.
    return (value as number) + 0;
  }

  text(name: string, maxLength: number): string {
    const value = this.get(name);
    if (typeof value !== 'string' || value.length > maxLength || !isStorableText(value)) throw invalid(this.at(name), `well-formed text of at most ${maxLength} characters`, value);
    return value;
  }

  name(name: string): string {
    return participantName(this.get(name), this.at(name));
  }

  oneOf<const T extends readonly string[]>(name: string, choices: T): T[number] {
    return choice(this.get(name), this.at(name), choices);
  }

  flag(name: string): boolean {
    const value = this.get(name);
    if (typeof value !== 'boolean') throw invalid(this.at(name), 'true or false', value);
    return value;
  }

  json(name: string): Json {
    if (!this.has(name)) throw invalid(this.at(name), 'a JSON value', undefined);
    const value = this.source[name] as Json;
    const problem = jsonProblem(value);
    if (problem !== null) throw new DecodeError('INVALID_MESSAGE', `${this.at(name)} ${problem}`);
    return value;
  }

  /** JSON values by name. Each may be as deep as any other JSON value. */
  jsonByName(name: string, maxEntries: number, maxNameLength: number): Readonly<Record<string, Json>> {
    const entries = this.object(name);
    const names = Object.keys(entries.source);
    if (names.length > maxEntries) throw invalid(this.at(name), `an object of at most ${maxEntries} fields`, names);
    for (const each of names) {
      if (each.length > maxNameLength || !isStorableText(each)) throw invalid(`a name in ${this.at(name)}`, `well-formed text of at most ${maxNameLength} characters`, each);
    }
    return Object.fromEntries(names.map((each) => [each, entries.json(each)]));
  }

  list<T>(name: string, maxItems: number, item: (value: unknown, path: string) => T, minItems = 0): readonly T[] {
    const value = this.get(name);
    if (!Array.isArray(value) || value.length < minItems || value.length > maxItems) throw invalid(this.at(name), `a list of ${minItems === 0 ? 'at most' : `${minItems} to`} ${maxItems}`, value);
    return value.map((entry, i) => item(entry, `${this.at(name)}[${i}]`));
  }

  object(name: string): Fields {
    return Fields.of(this.get(name), this.at(name));
  }

  private get(name: string): unknown {
    return Object.hasOwn(this.source, name) ? this.source[name] : undefined;
  }

  private at(name: string): string {
    return `${this.path}.${name}`;
  }
}

export function choice<const T extends readonly string[]>(value: unknown, path: string, choices: T): T[number] {
  if (!choices.includes(value as string)) throw invalid(path, `one of ${choices.join(', ')}`, value);
  return value as T[number];
}

export function participantName(value: unknown, path: string): string {
  if (typeof value !== 'string' || !PARTICIPANT_NAME.test(value)) throw invalid(path, 'a participant name', value);
  return value;
}

function invalid(path: string, wanted: string, got: unknown): DecodeError {
  return new DecodeError('INVALID_MESSAGE', `${path} must be ${wanted}, got ${excerpt(got)}`);
}

/** What was found, for people; short whatever the sender wrote. */
export function excerpt(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 60) : value);
  return typeof value === 'string' && value.length > 60 ? `${text}... (${value.length} characters)` : text;
}
