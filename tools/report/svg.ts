// What all plots share.

/** Of a plot over the whole page; one unit is about a pixel. */
export const WIDTH = 1180;

const LEGEND_ROW = 16;

export interface Named {
  readonly name: string;
  /** CSS classes: s0..s7, good, warn, bad, soft; `dashed` with one of them. */
  readonly style: string;
}

/** A colour for each of many; the second eight are dashed, so that nobody takes them for the first. */
export function styleOf(index: number): string {
  return `s${index % 8}${index % 16 >= 8 ? ' dashed' : ''}`;
}

/**
 * Beside the title where there is room, else in rows below it. A name that comes several times is told once.
 * @returns the height that it takes below the title
 */
export function legend(title: string, all: readonly Named[], left: number, right: number): { readonly svg: readonly string[]; readonly height: number } {
  const entries = [...new Map(all.map((entry) => [entry.name, entry])).values()];
  const widthOf = ({ name }: Named): number => textWidth(name) + 26;
  const total = entries.reduce((sum, entry) => sum + widthOf(entry), 0);
  const isBeside = total <= right - left - title.length * 7 - 20;
  let x = isBeside ? right - total : left;
  let row = isBeside ? 0 : 1;
  const svg = entries.map((entry) => {
    if (x > left && x + widthOf(entry) > right + 22) {
      x = left;
      row++;
    }
    const at = x;
    x += widthOf(entry);
    return `<rect class="key ${entry.style}" x="${n(at)}" y="${6 + row * LEGEND_ROW}" width="10" height="10"/><text class="tick" x="${n(at + 14)}" y="${15 + row * LEGEND_ROW}">${escapeXml(entry.name)}</text>`;
  });
  return { svg, height: row * LEGEND_ROW };
}

/** About, at 11 pixels: the browser that draws it has a font of its own. */
export function textWidth(text: string): number {
  const wide = text.replaceAll(/[^A-Z_]/g, '').length;
  return wide * 8 + (text.length - wide) * 6.2;
}

/** A round number that is not smaller, in parts that are round as well. */
export function linearTicks(value: number): readonly number[] {
  const power = 10 ** Math.floor(Math.log10(value));
  const [top, parts] = ([[1, 5], [1.5, 3], [2, 4], [3, 3], [4, 4], [5, 5], [6, 3], [8, 4], [10, 5]] as const).find(([step]) => step * power >= value * 0.999_999)!;
  return Array.from({ length: parts + 1 }, (_, i) => (top * power * i) / parts);
}

/** Of an axis. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${Number((value / 1_000_000).toFixed(1))}M`;
  if (value >= 1000) return `${Number((value / 1000).toFixed(1))}k`;
  return String(Number(value.toPrecision(3)));
}

/** A coordinate. */
export function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
