/** A Markdown table with columns of one width, so that it reads as plain text too. Columns of figures are flush right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, i) => Math.max(title.length, 3, ...rows.map((row) => row[i]!.length)));
  const figures = header.map((_, i) => rows.every((row) => FIGURE.test(row[i]!)));
  const cell = (text: string, i: number): string => (figures[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!));
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (figures[i] ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`;
  return [line(header), rule, ...rows.map(line)];
}

/** A number with or without its unit, or nothing. */
const FIGURE = /^(-?|[\d.]+( (s|ms|%))?)$/;
