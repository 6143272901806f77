import { ConfigError } from './config-error.js';

/** Readers of environment variables. All raise ConfigError. An empty value counts as not set. */
export type Env = Readonly<Record<string, string | undefined>>;

interface Default<T> {
  /** Taken when the variable is not set; without it the variable is required. */
  readonly default?: T;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

function raw(env: Env, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

function missing<T>(name: string, fallback: T | undefined, takes: string): T {
  if (fallback === undefined) throw ConfigError.of(name, undefined, takes);
  return fallback;
}

export function envText(env: Env, name: string, options: Default<string> & { readonly pattern?: RegExp; readonly takes?: string } = {}): string {
  const takes = options.takes ?? (options.pattern === undefined ? 'text' : `text that matches ${options.pattern.source}`);
  const value = raw(env, name);
  if (value === undefined) return missing(name, options.default, takes);
  if (options.pattern !== undefined && !options.pattern.test(value)) throw ConfigError.of(name, value, takes);
  return value;
}

export function envInt(env: Env, name: string, options: Default<number> & { readonly min: number; readonly max: number }): number {
  const takes = `a whole number from ${options.min} to ${options.max}`;
  const value = raw(env, name);
  if (value === undefined) return missing(name, options.default, takes);
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || number < options.min || number > options.max) throw ConfigError.of(name, value, takes);
  return number;
}

export function envNumber(env: Env, name: string, options: Default<number> & { readonly min: number; readonly max: number }): number {
  const takes = `a number from ${options.min} to ${options.max}`;
  const value = raw(env, name);
  if (value === undefined) return missing(name, options.default, takes);
  const number = Number(value);
  if (!/^\d+(\.\d+)?$/.test(value) || number < options.min || number > options.max) throw ConfigError.of(name, value, takes);
  return number;
}

/** A TCP port; 0 lets the system choose one. */
export function envPort(env: Env, name: string, fallback: number): number {
  return envInt(env, name, { default: fallback, min: 0, max: 65_535 });
}

export function envEnum<const T extends string>(env: Env, name: string, values: readonly T[], fallback?: NoInfer<T>): T {
  const takes = values.map((value) => JSON.stringify(value)).join(' or ');
  const value = raw(env, name);
  if (value === undefined) return missing(name, fallback, takes);
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) throw ConfigError.of(name, value, takes);
  return found;
}

/** Names separated by commas; none twice. @param options.check what else must hold of them */
export function envNames(env: Env, name: string, options: Default<readonly string[]> & { readonly takes: string; readonly check?: (names: readonly string[]) => boolean }): readonly string[] {
  const value = raw(env, name);
  if (value === undefined) return missing(name, options.default, options.takes);
  const names = value.split(',').map((part) => part.trim());
  const valid = names.every((part) => NAME.test(part)) && new Set(names).size === names.length && (options.check?.(names) ?? true);
  if (!valid) throw ConfigError.of(name, value, options.takes);
  return names;
}

/**
 * A URL with one of the given schemes.
 * @param options.secret the URL may hold a password: it is not shown in errors
 */
export function envUrl(env: Env, name: string, options: Default<string> & { readonly schemes: readonly string[]; readonly secret?: boolean }): string {
  const takes = `a URL with ${options.schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  const value = raw(env, name);
  if (value === undefined) return missing(name, options.default, takes);
  const parsed = URL.canParse(value) ? new URL(value) : null;
  if (parsed === null || !options.schemes.includes(parsed.protocol.slice(0, -1))) throw ConfigError.of(name, options.secret === true ? null : value, takes);
  return value;
}

/** A Postgres connection URL; never shown in errors, because it may hold a password. */
export function envDatabaseUrl(env: Env, name: string): string {
  return envUrl(env, name, { schemes: ['postgres', 'postgresql'], secret: true });
}
