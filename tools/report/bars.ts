// Horizontal bars as SVG text: the names of what is compared are long.
import { figure } from './numbers.ts';
import { escapeXml, legend, linearTicks, n, type Named, short, textWidth, WIDTH } from './svg.ts';

export interface Series extends Named {
  /** One for each category; null: not known. */
  readonly values: readonly (number | null)[];
  /** Least and most, drawn as whiskers; only of bars beside each other. */
  readonly ranges?: readonly (readonly [least: number, most: number] | null)[];
}

export interface Bars {
  readonly title: string;
  readonly unit: string;
  /** The series of a category under each other, or one behind the other on one bar. */
  readonly kind: 'group' | 'stack';
  readonly categories: readonly string[];
  readonly series: readonly Series[];
  /** Two of them fit beside each other. */
  readonly half?: boolean;
  /** A value as it is told, three digits unless told otherwise; then of the axis, too. */
  readonly format?: (value: number) => string;
  /** At the end of each stack, instead of its sum. */
  readonly ends?: readonly string[];
}

const TOP = 26;
const AXIS = 22;
const RIGHT = 64;
const BAR = 13;
const GAP = 9;
const STACK = 18;
const LETTER = 6.1;

export function barsSvg(bars: Bars): string {
  const { kind, categories, title } = bars;
  const format = bars.format ?? figure;
  const width = bars.half === true ? WIDTH / 2 - 8 : WIDTH;
  const left = Math.min(width * 0.42, Math.max(40, ...categories.map((name) => textWidth(name) + 16)));
  const series = bars.series.filter(({ values }) => kind === 'group' || values.some((value) => value !== null && value !== 0));
  const keys = series.length > 1 || kind === 'stack' ? legend(title, series, 12, width - 12) : { svg: [], height: 0 };
  const top = TOP + keys.height;
  const step = GAP + (kind === 'stack' ? STACK : BAR * Math.max(1, series.length));
  const bottom = top + categories.length * step + GAP / 2;
  const ticks = linearTicks(longest({ ...bars, series }));
  const scale = (value: number): number => (value / ticks.at(-1)!) * (width - left - RIGHT);
  const place: Place = { left, scale, format, unit: bars.unit };
  return [
    `<svg class="${bars.half === true ? 'half' : 'full'}" viewBox="0 0 ${width} ${n(bottom + AXIS)}" role="img" aria-label="${escapeXml(title)}">`,
    `<text class="title" x="12" y="14">${escapeXml(title)}</text>`,
    ...keys.svg,
    ...ticks.map((tick, i) => `<line class="grid" x1="${n(left + scale(tick))}" x2="${n(left + scale(tick))}" y1="${top}" y2="${n(bottom)}"/><text class="tick" x="${n(left + scale(tick))}" y="${n(bottom + 14)}" text-anchor="middle">${(bars.format ?? short)(tick)}${i === ticks.length - 1 ? ` ${escapeXml(bars.unit)}` : ''}</text>`),
    ...categories.flatMap((category, i) => {
      const y = top + GAP / 2 + i * step;
      const middle = y + (step - GAP) / 2 + 4;
      return [
        `<text x="${n(left - 8)}" y="${n(middle)}" text-anchor="end">${escapeXml(cut(category, (left - 12) / LETTER))}<title>${escapeXml(category)}</title></text>`,
        ...(kind === 'stack' ? stacked(series, i, y, place, bars.ends?.[i] ?? null) : grouped(series, i, y, place)),
      ];
    }),
    '</svg>',
  ].join('\n');
}

interface Place {
  readonly left: number;
  readonly scale: (value: number) => number;
  readonly format: (value: number) => string;
  readonly unit: string;
}

/** What the axis must have room for; 1 where there is nothing. */
function longest({ kind, categories, series }: Bars): number {
  const values = kind === 'stack'
    ? categories.map((_, i) => series.reduce((sum, { values: own }) => sum + known(own[i]), 0))
    : series.flatMap(({ values: own, ranges }) => [...own.map(known), ...(ranges ?? []).map((range) => range?.[1] ?? 0)]);
  const most = Math.max(0, ...values);
  return most > 0 ? most : 1;
}

function stacked(series: readonly Series[], i: number, y: number, { left, scale, format, unit }: Place, end: string | null): readonly string[] {
  let sum = 0;
  const parts = series.flatMap(({ name, style, values }) => {
    const value = known(values[i]);
    if (value === 0) return [];
    const from = sum;
    sum += value;
    return [`<rect class="bar ${style}" x="${n(left + scale(from))}" y="${n(y)}" width="${n(scale(value))}" height="${STACK}"><title>${escapeXml(`${name}: ${format(value)} ${unit}`)}</title></rect>`];
  });
  const isKnown = series.some(({ values }) => typeof values[i] === 'number');
  return [...parts, valueText(left + scale(sum), y + STACK / 2 + 4, isKnown ? end ?? format(sum) : '-')];
}

function grouped(series: readonly Series[], i: number, y: number, { left, scale, format, unit }: Place): readonly string[] {
  return series.flatMap(({ name, style, values, ranges }, row) => {
    const value = values[i];
    const at = y + row * BAR;
    if (typeof value !== 'number' || !Number.isFinite(value)) return [valueText(left, at + 10, '-')];
    const range = ranges?.[i] ?? null;
    const told = `${name}: ${format(value)} ${unit}${range === null ? '' : ` (${format(range[0])} to ${format(range[1])})`}`;
    return [
      `<rect class="bar ${style}" x="${n(left)}" y="${n(at)}" width="${n(scale(value))}" height="${BAR - 2}"><title>${escapeXml(told)}</title></rect>`,
      ...(range === null ? [] : [whisker(left + scale(range[0]), left + scale(range[1]), at + (BAR - 2) / 2)]),
      valueText(left + scale(Math.max(value, range?.[1] ?? 0)), at + 10, format(value)),
    ];
  });
}

function whisker(from: number, to: number, y: number): string {
  return `<path class="whisker" d="M${n(from)} ${n(y)}L${n(to)} ${n(y)}M${n(from)} ${n(y - 3)}L${n(from)} ${n(y + 3)}M${n(to)} ${n(y - 3)}L${n(to)} ${n(y + 3)}"/>`;
}

function valueText(x: number, y: number, text: string): string {
  return `<text class="tick" x="${n(x + 5)}" y="${n(y)}">${escapeXml(text)}</text>`;
}

function known(value: number | null | undefined): number {
  return value === null || value === undefined || !Number.isFinite(value) ? 0 : value;
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, Math.floor(letters) - 1))}…`;
}
