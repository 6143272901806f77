import { hash } from 'node:crypto';
import type { Json } from '#libs/protocol';

/** Sorting in place costs less than `sort` up to about this many keys. */
const FEW = 16;

/**
 * SHA-256 (hex) of a request in canonical form: equal for bodies that differ only in the order of keys and in white space.
 * The value must not be nested deeply (the edge refuses that before).
 */
export function fingerprint(request: Json): string {
  return hash('sha256', canonical(request), 'hex');
}

/**
 * A text that is the same for the same value, and for no other: each kind of value begins with a mark of its own, text with its length,
 * and the keys of an object are in order. Not JSON, because escaping every string costs more than all the rest.
 */
export function canonical(value: Json): string {
  if (typeof value === 'string') return `"${value.length}:${value}`;
  if (typeof value === 'number') return `#${value};`;
  if (value === null) return 'n';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  let text = '';
  if (Array.isArray(value)) {
    for (const member of value as readonly Json[]) text += canonical(member);
    return `[${text}]`;
  }
  const object = value as { readonly [key: string]: Json };
  for (const key of inOrder(Object.keys(object))) text += `${key.length}:${key}${canonical(object[key]!)}`;
  return `{${text}}`;
}

/** Sorts by UTF-16 code units. */
function inOrder(keys: string[]): readonly string[] {
  if (keys.length > FEW) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i]!;
    let at = i;
    for (; at > 0 && keys[at - 1]! > key; at--) keys[at] = keys[at - 1]!;
    keys[at] = key;
  }
  return keys;
}
