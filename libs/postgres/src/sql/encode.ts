/** JSON text of a value for a jsonb parameter; JSON null stays a value. */
export function json(value: unknown): string {
  return JSON.stringify(value);
}

/** As `json`, with JSON null stored as SQL NULL (both read back as null). */
export function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

/** Array literal of what needs no quotes: uuids, numbers, words of this code. */
export function plainArray(items: readonly (string | number | boolean)[]): string {
  return `{${items.join(',')}}`;
}

/** Array literal of any text, escaped only where it has to be; also for arrays of arrays of different lengths, which `unnest` would otherwise flatten. */
export function textArray(items: readonly (string | null)[]): string {
  let literal = '{';
  for (const item of items) {
    if (literal.length > 1) literal += ',';
    literal += item === null ? 'NULL' : `"${/["\\]/.test(item) ? item.replace(/["\\]/g, '\\$&') : item}"`;
  }
  return `${literal}}`;
}

/** SQL of an array that was sent by `lines`. */
export function linesOf(parameter: string): string {
  return `string_to_array(${parameter}::text, E'\\n', '')`;
}

/**
 * Texts without line breaks (such as JSON), or null: long texts full of quotes would cost more to escape, on both sides, than to write. An
 * empty text is read as null, and nulls at the end are not there: `unnest` of several arrays fills them in.
 */
export function lines(items: readonly (string | null)[]): string {
  return items.join('\n');
}
