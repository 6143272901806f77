/** JSON text of a value for a jsonb parameter; JSON null stays a value. */
export function json(value: unknown): string {
  return JSON.stringify(value);
}

/** As `json`, with JSON null stored as SQL NULL (both read back as null). */
export function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

/** Array literal, for arrays of arrays of different lengths, which `unnest` would otherwise flatten. */
export function textArray(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
