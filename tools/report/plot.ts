// Lines and piled-up areas over an axis as SVG text.
import { type Axis } from './axis.ts';
import { escapeXml, legend, linearTicks, n, type Named, short, WIDTH } from './svg.ts';

export interface Line extends Named {
  /** Where y is null the line has a gap. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

export interface Band {
  readonly fromMs: number;
  readonly toMs: number;
  readonly label: string;
  readonly title: string;
}

export interface Plot {
  readonly title: string;
  readonly unit: string;
  /** Drawn on top of each other, or piled up. */
  readonly kind: 'lines' | 'stack';
  readonly scale: 'linear' | 'log';
  readonly lines: readonly Line[];
  /** Of the drawing without its edges; 150 unless told. */
  readonly height?: number;
  /** Whether the page's script tells the values under the pointer: takes room in the page for each point. */
  readonly hover?: boolean;
}

const LEFT = 58;
const RIGHT = 12;
const TOP = 26;
const BOTTOM = 22;
const HEIGHT = 150;

type Scale = (value: number) => number;

export function plotSvg(plot: Plot, axis: Axis, bands: readonly Band[] = []): string {
  const { height = HEIGHT, title } = plot;
  const lines = plot.kind === 'stack' ? piled(plot.lines) : plot.lines;
  const keys = legend(title, plot.lines, LEFT, WIDTH - RIGHT);
  const top = TOP + keys.height;
  const { ticks, share } = yScale(plot, lines);
  const x = (value: number): number => LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => top + height - share(value) * height;
  return [
    `<svg viewBox="0 0 ${WIDTH} ${top + height + BOTTOM}" role="img" aria-label="${escapeXml(title)}"${plot.hover === true ? ` data-hover="${escapeXml(hoverData(plot, axis, x, top, height))}"` : ''}>`,
    `<text class="title" x="${LEFT}" y="14">${escapeXml(title)}</text>`,
    ...keys.svg,
    ...bands.map((band) => bandSvg(band, x, top, height)),
    ...ticks.map((tick, i) => `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y(tick))}" y2="${n(y(tick))}"/><text class="tick" x="${LEFT - 6}" y="${n(y(tick) + 4)}" text-anchor="end">${short(tick)}${i === ticks.length - 1 ? ` ${escapeXml(plot.unit)}` : ''}</text>`),
    ...axis.ticks.map(([at, label]) => `<text class="tick" x="${n(x(at))}" y="${top + height + 15}" text-anchor="${anchorAt(axis.place(at))}">${label}</text>`),
    ...(plot.kind === 'stack' ? lines.toReversed().map((line) => area(line, x, y)) : lines.map((line) => path(line, x, y))),
    '</svg>',
  ].join('\n');
}

function anchorAt(place: number): string {
  if (place > 0.99) return 'end';
  return place === 0 ? 'start' : 'middle';
}

/** A logarithmic one begins at the power of ten below the smallest value; what has no logarithm lies on the ground. */
function yScale(plot: Plot, lines: readonly Line[]): { readonly ticks: readonly number[]; readonly share: Scale } {
  const values = lines.flatMap((line) => line.points.flatMap(([, y]) => (y !== null && Number.isFinite(y) ? [y] : [])));
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  if (plot.scale === 'linear') {
    const ticks = linearTicks(most > 0 ? most : 1);
    return { ticks, share: (value) => value / ticks.at(-1)! };
  }
  const least = values.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), Number.POSITIVE_INFINITY);
  const bottom = Number.isFinite(least) ? 10 ** Math.floor(Math.log10(least)) : 1;
  const highest = linearTicks(Math.max(bottom * 10, most)).at(-1)!;
  const decades = Math.log10(highest / bottom);
  const powers = Array.from({ length: Math.ceil(decades - 1e-9) }, (_, i) => bottom * 10 ** i);
  // The top is told as well; a power of ten right below it would be written over it.
  const hasRoom = (tick: number): boolean => (Math.log10(highest / tick) / decades) * (plot.height ?? HEIGHT) > 12;
  return { ticks: [...powers.filter(hasRoom), highest], share: (value) => Math.log10(Math.max(bottom, value) / bottom) / decades };
}

function bandSvg({ fromMs, toMs, label, title }: Band, x: Scale, top: number, height: number): string {
  const width = Math.max(1.5, x(toMs) - x(fromMs));
  return `<g class="band"><rect x="${n(x(fromMs))}" y="${top}" width="${n(width)}" height="${height}"><title>${escapeXml(title)}</title></rect><text x="${n(x(fromMs) + 1)}" y="${top + 9}">${escapeXml(label)}</text></g>`;
}

function piled(lines: readonly Line[]): readonly Line[] {
  const sums = new Map<number, number>();
  return lines.map((line) => ({
    ...line,
    points: line.points.map(([at, y]) => {
      const sum = (sums.get(at) ?? 0) + (y ?? 0);
      sums.set(at, sum);
      return [at, sum] as const;
    }),
  }));
}

function path({ style, points }: Line, x: Scale, y: Scale): string {
  let pen = 'M';
  const commands = points.flatMap(([at, value]) => {
    if (value === null || !Number.isFinite(value)) {
      pen = 'M';
      return [];
    }
    const command = `${pen}${n(x(at))} ${n(y(value))}`;
    pen = 'L';
    return [command];
  });
  return `<path class="line ${style}" d="${commands.join('')}"/>`;
}

function area({ style, points }: Line, x: Scale, y: Scale): string {
  if (points.length === 0) return '';
  const upper = points.map(([at, value]) => `${n(x(at))} ${n(y(value ?? 0))}`);
  return `<path class="area ${style}" d="M${n(x(points[0]![0]))} ${n(y(0))}L${upper.join('L')}L${n(x(points.at(-1)![0]))} ${n(y(0))}Z"/>`;
}

/** For the script in html.ts. */
export interface HoverData {
  readonly unit: string;
  readonly top: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly lines: readonly { readonly name: string; readonly points: readonly (readonly [x: number, label: string, y: number])[] }[];
}

function hoverData(plot: Plot, axis: Axis, x: Scale, top: number, height: number): string {
  const data: HoverData = {
    unit: plot.unit, top, height, left: LEFT, right: WIDTH - RIGHT,
    lines: plot.lines.map(({ name, points }) => ({ name, points: points.flatMap(([at, y]) => (y === null || !Number.isFinite(y) ? [] : [[Number(n(x(at))), axis.label(at), Number(y.toPrecision(3))] as const])) })),
  };
  return JSON.stringify(data);
}
