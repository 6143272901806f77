import { HOVER_SCRIPT } from './hover.ts';
import { escapeXml } from './svg.ts';

const STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b2330; --soft: #667085; --line: #d5dae2; --good: #2f9e6a; --warn: #e0a030; --bad: #d43c2e; --band: #3056d31c;
  --s0: #3056d3; --s1: #c2410c; --s2: #0f8b8d; --s3: #9333ea; --s4: #64748b; --s5: #be185d; --s6: #65a30d; --s7: #a16207; }
@media screen and (prefers-color-scheme: dark) { :root { --bg: #10141b; --card: #181e28; --ink: #e4e8ef; --soft: #98a3b5; --line: #2c3544; --good: #4cc38a; --warn: #f5c567; --bad: #ff7b6e; --band: #8ba6ff24;
  --s0: #8ba6ff; --s1: #ff9b5e; --s2: #4fd1c5; --s3: #c89bff; --s4: #a3b1c6; --s5: #ff8cc0; --s6: #b5e35c; --s7: #e5c46b; } }
body { margin: 0 auto; max-width: 1240px; padding: 20px; background: var(--bg); color: var(--ink); font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 4px; font-size: 22px; } h2 { margin: 26px 0 8px; font-size: 16px; } p { margin: 4px 0; } .facts { color: var(--soft); }
.verdict { display: inline-block; padding: 2px 12px; border-radius: 10px; color: #fff; font-weight: 600; } .verdict.good { background: #27865a; } .verdict.warn { background: #a86a15; } .verdict.bad { background: #c6372a; }
svg { display: block; width: 100%; margin: 10px 0; border: 1px solid var(--line); border-radius: 9px; background: var(--card); }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); } svg .title { font-size: 12.5px; font-weight: 600; } svg .tick { fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: .6; } .band rect { fill: var(--band); } .band:hover rect { fill: var(--s0); fill-opacity: .3; } .band text { font-size: 9px; fill: var(--soft); pointer-events: none; }
.line { fill: none; stroke-width: 1.4; } .area { stroke: none; pointer-events: none; fill-opacity: .8; }
${['good', 'warn', 'bad', 'soft', 's0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'].map((name) => `.line.${name} { stroke: var(--${name}); } .area.${name}, .key.${name}, .bar.${name} { fill: var(--${name}); }`).join(' ')}
.line { pointer-events: none; } .line.dashed { stroke-dasharray: 5 3; } .bar { stroke: var(--card); stroke-width: .6; } .bar.dashed { fill-opacity: .55; } .key.dashed { fill-opacity: .45; } .whisker { fill: none; stroke: var(--ink); stroke-width: 1.2; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)); column-gap: 16px; } .side svg { align-self: start; }
.cursor line { stroke: var(--soft); stroke-width: .8; } .cursor rect { fill: var(--card); stroke: var(--line); fill-opacity: .94; } .cursor { pointer-events: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; } th { color: var(--soft); font-weight: 500; } th, td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child, td.text, th.text { text-align: left; } td.bad { color: var(--bad); font-weight: 600; } td.good { color: var(--good); }
pre { overflow-x: auto; padding: 10px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; }
/* On paper as on the screen, but never a plot or a row on two sheets. */
@media print { body { max-width: none; padding: 0; background: none; print-color-adjust: exact; -webkit-print-color-adjust: exact; } svg, tr { break-inside: avoid; } h2 { break-after: avoid; } .wide { overflow: visible; } }`;

/** A page of its own, without anything from elsewhere. */
export function pageHtml(title: string, body: readonly string[]): string {
  const script = body.some((part) => part.includes('data-hover=')) ? `<script>${HOVER_SCRIPT}</script>\n` : '';
  return `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>${escapeXml(title)}</title>\n<style>${STYLE}\n</style>\n</head>\n<body>\n${body.join('\n')}\n${script}</body>\n</html>\n`;
}

/** @param text columns that hold words, from 0 */
export function tableHtml(header: readonly string[], rows: readonly (readonly string[])[], text: readonly number[] = [0]): string {
  const cell = (tag: string) => (value: string, i: number): string => `<${tag}${text.includes(i) ? ' class="text"' : ''}>${escapeXml(value)}</${tag}>`;
  return `<div class="wide"><table><tr>${header.map(cell('th')).join('')}</tr>${rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n')}</table></div>`;
}
