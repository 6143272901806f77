import type { Json } from '#libs/protocol';

/** Deeper nesting makes recursive writers (JSON.stringify among them) run out of stack. */
export const MAX_JSON_DEPTH = 100;

/** U+0000 and lone surrogates: PostgreSQL refuses both in text and in jsonb, so that a batch with one could never be flushed. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** True for text that every store on the way accepts. */
export function isStorableText(text: string): boolean {
  return !UNSTORABLE.test(text);
}

/**
 * Says what is wrong with a JSON value that is to travel as a payload or result, or null if nothing is:
 * nesting deeper than 100, or text with U+0000 or lone surrogates.
 */
export function jsonProblem(value: Json, depth = 0): string | null {
  if (typeof value === 'string') return isStorableText(value) ? null : 'holds text with U+0000 or a lone surrogate';
  if (value === null || typeof value !== 'object') return null;
  if (depth >= MAX_JSON_DEPTH) return `is nested deeper than ${MAX_JSON_DEPTH}`;
  if (Array.isArray(value)) return firstProblem(value as readonly Json[], depth);
  return Object.keys(value).every(isStorableText) ? firstProblem(Object.values(value as object) as Json[], depth) : 'holds a key with U+0000 or a lone surrogate';
}

function firstProblem(values: readonly Json[], depth: number): string | null {
  for (const value of values) {
    const problem = jsonProblem(value, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}
