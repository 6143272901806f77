/** Some of the WITH queries of a flush. */
export interface Part {
  readonly values: readonly string[];
  /** `parameters`: of the values, `$1` and so on. Must be the same text whatever the rows. */
  text(parameters: readonly string[]): string;
}

/** In the order of a key, which they nearly always have already. */
export function inOrder<Row>(rows: readonly Row[], key: (row: Row) => string): readonly Row[] {
  for (let i = 1; i < rows.length; i++) {
    if (key(rows[i - 1]!) > key(rows[i]!)) return rows.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  }
  return rows;
}
