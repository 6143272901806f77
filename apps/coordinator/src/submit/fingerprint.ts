import { hash } from 'node:crypto';
import type { Json } from '#libs/protocol';

/**
 * SHA-256 (hex) of a request in canonical form: equal for bodies that differ only in the order of keys and in white space.
 * The value must not be nested deeply (the edge refuses that before).
 */
export function fingerprint(request: Json): string {
  return hash('sha256', canonical(request), 'hex');
}

/** JSON with the keys of every object sorted by UTF-16 code units, as RFC 8785 section 3.2.3 does. */
export function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonical).join(',')}]`;
  const object = value as { readonly [key: string]: Json };
  return `{${Object.keys(object).sort().map((key) => `${JSON.stringify(key)}:${canonical(object[key]!)}`).join(',')}}`;
}
