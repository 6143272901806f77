// Plots over time as SVG text, one under the other on one time axis.

export interface Line {
  readonly name: string;
  /** A CSS class: s0..s7, good, warn, bad, soft. */
  readonly style: string;
  /** Where y is null the line has a gap. */
  readonly points: readonly (readonly [atMs: number, y: number | null])[];
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
}

const WIDTH = 1180;
const LEFT = 58;
const RIGHT = 12;
const TOP = 26;
const HEIGHT = 150;
const BOTTOM = 22;

export function plotSvg(plot: Plot, endMs: number, bands: readonly Band[]): string {
  const lines = plot.kind === 'stack' ? piled(plot.lines) : plot.lines;
  const values = lines.flatMap((line) => line.points.flatMap(([, y]) => y ?? []));
  const top = niceTop(Math.max(plot.scale === 'log' ? 10 : 1, ...values.filter(Number.isFinite)));
  const x = (ms: number): number => LEFT + (ms / endMs) * (WIDTH - LEFT - RIGHT);
  const y = plot.scale === 'log'
    ? (value: number): number => TOP + HEIGHT - (Math.log10(Math.max(1, value)) / Math.log10(top)) * HEIGHT
    : (value: number): number => TOP + HEIGHT - (value / top) * HEIGHT;
  const ticks = plot.scale === 'log' ? powers(top) : [0, top / 4, top / 2, (top * 3) / 4, top];
  return [
    `<svg viewBox="0 0 ${WIDTH} ${TOP + HEIGHT + BOTTOM}" role="img" aria-label="${escapeXml(plot.title)}">`,
    `<text class="title" x="${LEFT}" y="14">${escapeXml(plot.title)}</text>`,
    ...legend(plot.lines),
    ...bands.map((band) => bandSvg(band, x)),
    ...ticks.map((tick) => `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y(tick))}" y2="${n(y(tick))}"/><text class="tick" x="${LEFT - 6}" y="${n(y(tick) + 4)}" text-anchor="end">${short(tick)}${tick === top ? ` ${plot.unit}` : ''}</text>`),
    ...timeTicks(endMs).map((ms) => `<text class="tick" x="${n(x(ms))}" y="${TOP + HEIGHT + 15}" text-anchor="middle">${Math.floor(ms / 60_000)}:${String(Math.round(ms / 1000) % 60).padStart(2, '0')}</text>`),
    ...(plot.kind === 'stack' ? lines.toReversed().map((line) => area(line, x, y)) : lines.map((line) => path(line, x, y))),
    '</svg>',
  ].join('\n');
}

function bandSvg({ fromMs, toMs, label, title }: Band, x: (ms: number) => number): string {
  const width = Math.max(1.5, x(toMs) - x(fromMs));
  return `<g class="band"><rect x="${n(x(fromMs))}" y="${TOP}" width="${n(width)}" height="${HEIGHT}"><title>${escapeXml(title)}</title></rect><text x="${n(x(fromMs) + 1)}" y="${TOP + 9}">${escapeXml(label)}</text></g>`;
}

function legend(lines: readonly Line[]): readonly string[] {
  let at = WIDTH - RIGHT;
  return lines.toReversed().map(({ name, style }) => {
    at -= name.length * 6.4 + 22;
    return `<rect class="key ${style}" x="${n(at)}" y="6" width="10" height="10"/><text class="tick" x="${n(at + 14)}" y="15">${escapeXml(name)}</text>`;
  });
}

function piled(lines: readonly Line[]): readonly Line[] {
  const sums = new Map<number, number>();
  return lines.map((line) => ({
    ...line,
    points: line.points.map(([atMs, y]) => {
      const sum = (sums.get(atMs) ?? 0) + (y ?? 0);
      sums.set(atMs, sum);
      return [atMs, sum] as const;
    }),
  }));
}

function path({ style, points }: Line, x: (ms: number) => number, y: (value: number) => number): string {
  let pen = 'M';
  const commands = points.flatMap(([atMs, value]) => {
    if (value === null || !Number.isFinite(value)) {
      pen = 'M';
      return [];
    }
    const command = `${pen}${n(x(atMs))} ${n(y(value))}`;
    pen = 'L';
    return [command];
  });
  return `<path class="line ${style}" d="${commands.join('')}"/>`;
}

function area({ style, points }: Line, x: (ms: number) => number, y: (value: number) => number): string {
  if (points.length === 0) return '';
  const upper = points.map(([atMs, value]) => `${n(x(atMs))} ${n(y(value ?? 0))}`);
  return `<path class="area ${style}" d="M${n(x(points[0]![0]))} ${n(y(0))}L${upper.join('L')}L${n(x(points.at(-1)![0]))} ${n(y(0))}Z"/>`;
}

/** A round number. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 8, 10].map((step) => step * power).find((top) => top >= value)!;
}

function powers(top: number): readonly number[] {
  const ticks = [];
  for (let tick = 1; tick < top; tick *= 10) ticks.push(tick);
  return [...ticks, top];
}

function timeTicks(endMs: number): readonly number[] {
  const step = [5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 3_600_000].find((ms) => endMs / ms <= 14) ?? 7_200_000;
  return Array.from({ length: Math.floor(endMs / step) + 1 }, (_, i) => i * step);
}

function short(value: number): string {
  if (value >= 1000) return `${Number((value / 1000).toFixed(1))}k`;
  return String(Number(value.toFixed(2)));
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export const PLOT_STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #667085; --line: #d5dae2; --good: #2f9e6a; --warn: #e0a030; --bad: #d43c2e; --band: #3056d31c;
  --s0: #3056d3; --s1: #c2410c; --s2: #0f8b8d; --s3: #9333ea; --s4: #64748b; --s5: #be185d; --s6: #65a30d; --s7: #a16207; }
@media (prefers-color-scheme: dark) { :root { --bg: #10141b; --card: #181e28; --ink: #e4e8ef; --soft: #98a3b5; --line: #2c3544; --good: #4cc38a; --warn: #f5c567; --bad: #ff7b6e; --band: #8ba6ff24;
  --s0: #8ba6ff; --s1: #ff9b5e; --s2: #4fd1c5; --s3: #c89bff; --s4: #a3b1c6; --s5: #ff8cc0; --s6: #b5e35c; --s7: #e5c46b; } }
body { margin: 0 auto; max-width: 1240px; padding: 20px; background: var(--bg); color: var(--ink); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 4px; font-size: 22px; } h2 { margin: 26px 0 8px; font-size: 16px; } p { margin: 4px 0; } .facts { color: var(--soft); }
.verdict { display: inline-block; padding: 2px 12px; border-radius: 10px; color: #fff; font-weight: 600; } .verdict.good { background: var(--good); } .verdict.bad { background: var(--bad); }
svg { display: block; width: 100%; margin: 10px 0; border: 1px solid var(--line); border-radius: 9px; background: var(--card); }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); } svg .title { font-size: 12.5px; font-weight: 600; } svg .tick { fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: .6; } .band rect { fill: var(--band); } .band:hover rect { fill: var(--s0); fill-opacity: .3; } .band text { font-size: 9px; fill: var(--soft); pointer-events: none; }
.line { fill: none; stroke-width: 1.4; } .area { stroke: none; pointer-events: none; fill-opacity: .8; }
${['good', 'warn', 'bad', 'soft', 's0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'].map((name) => `.line.${name} { stroke: var(--${name}); } .area.${name}, .key.${name} { fill: var(--${name}); }`).join(' ')}
.line { pointer-events: none; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; } th { color: var(--soft); font-weight: 500; } th, td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child, td.text, th.text { text-align: left; } td.bad { color: var(--bad); font-weight: 600; } td.good { color: var(--good); }
pre { overflow-x: auto; padding: 10px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; }`;

/** A page of its own, without anything from elsewhere. */
export function pageHtml(title: string, body: readonly string[]): string {
  return `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${escapeXml(title)}</title>\n<style>${PLOT_STYLE}\n</style>\n</head>\n<body>\n${body.join('\n')}\n</body>\n</html>\n`;
}

/** @param text columns that hold words, from 0 */
export function tableHtml(header: readonly string[], rows: readonly (readonly string[])[], text: readonly number[] = [0]): string {
  const cell = (tag: string) => (value: string, i: number): string => `<${tag}${text.includes(i) ? ' class="text"' : ''}>${escapeXml(value)}</${tag}>`;
  return `<div class="wide"><table><tr>${header.map(cell('th')).join('')}</tr>${rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n')}</table></div>`;
}
