/** The region report as one HTML file with bar charts: no network, no library, no script. */
import { escapeHtml } from '../page/html.js';
import type { Region } from './map.js';
import { FATES, type Fate } from './outcome.js';
import type { Placement } from './placement.js';
import { fateName, participantsTitle, placementName } from './render.js';
import type { LossResult, PlacementReport, RegionOptions } from './report.js';

const STYLE = `
:root { color-scheme: light dark; --committed: #2e8b57; --aborted: #c9a227; --late: #d2691e; --blocked: #b22222; --none: #8a8a8a; --refused: #5f6a7d;
  --applied: #9db9d8; --answer: #3b6ea5 }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h2 { margin-top: 2.5rem } h3 { margin: 1.5rem 0 .3rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .15rem .5rem; text-align: left; font-weight: normal; vertical-align: middle } th { width: 16rem }
td.figures { width: 15rem; font-variant-numeric: tabular-nums; white-space: nowrap }
.track { position: relative; height: 1.05rem; background: color-mix(in srgb, currentColor 8%, transparent); display: flex }
.track i { display: block; height: 100% } .track .over { position: absolute; left: 0; top: 0 }
.key { margin: .5rem 0 } .key i { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em; vertical-align: -.1em }
`;

const COLOURS: Readonly<Record<Fate | 'refused', string>> = {
  'committed': 'committed', 'aborted': 'aborted', 'late': 'late', 'blocked': 'blocked', 'nobody left': 'none', 'refused': 'refused',
};

export function regionPage(reports: readonly PlacementReport[], { runs, seed, home, outageMs, limitMs }: RegionOptions): string {
  const kinds = [...new Set(reports.map(({ placement }) => placement.participants))];
  const sections = kinds.map((kind) => section(reports.filter(({ placement }) => placement.participants === kind)));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Commit across regions</title><style>${STYLE}</style></head><body>
<h1>Commit across regions</h1>
<p>Client and coordinator in ${escapeHtml(home)}. ${runs} transactions for each bar, seed ${seed}. A lost region is back after ${outageMs / 1000} s;
decided in time means within ${limitMs / 1000} s.</p>
${sections.join('\n')}
</body></html>
`;
}

function section(reports: readonly PlacementReport[]): string {
  const { home, participants } = reports[0]!.placement;
  const widest = Math.max(...reports.map(({ applied }) => applied.p99Ms));
  const lost = [...new Set(reports.flatMap(({ losses }) => losses.map(({ region }) => region)))];
  return `<h2>${escapeHtml(participantsTitle(participants, home))}</h2>
<h3>Latency without failures, p50</h3><p class="key">${swatch('answer', 'the client has its answer')}${swatch('applied', 'applied everywhere')}</p>
<table>${reports.map((report) => latencyRow(report, widest)).join('')}</table>
${lost.map((region) => `${lossChart(reports, region, 'under way')}${lossChart(reports, region, 'before')}`).join('\n')}`;
}

function latencyRow({ placement, answered, applied }: PlacementReport, widest: number): string {
  const bar = (colour: string, ms: number): string => `<i class="over" style="width:${(100 * ms / widest).toFixed(2)}%;background:var(--${colour})"></i>`;
  const figures = `${answered.p50Ms.toFixed(0)} ms, p99 ${answered.p99Ms.toFixed(0)}; applied ${applied.p50Ms.toFixed(0)} ms`;
  return row(placementName(placement), `${bar('applied', applied.p50Ms)}${bar('answer', answered.p50Ms)}`, figures);
}

function lossChart(reports: readonly PlacementReport[], region: Region, when: LossResult['when']): string {
  const rows = reports.flatMap(({ placement, losses }) =>
    losses.filter((loss) => loss.region === region && loss.when === when).map((loss) => lossRow(placement, loss)));
  const title = when === 'before' ? `Asked while ${region} is lost` : `${region} lost under way`;
  const key = FATES.map((fate) => swatch(COLOURS[fate], fate === 'blocked' ? 'blocked (a saga: half done)' : fate));
  return `<h3>${escapeHtml(title)}</h3><p class="key">${key.join('')}${swatch('refused', 'no coordinator to ask')}</p><table>${rows.join('')}</table>`;
}

function lossRow(placement: Placement, { shares, refused, longestInDoubtMs }: LossResult): string {
  const parts = [...FATES.map((fate) => [COLOURS[fate], shares[fate]] as const), ['refused', refused] as const].filter(([, share]) => share > 0);
  const bars = parts.map(([colour, share]) => `<i style="width:${(100 * share).toFixed(2)}%;background:var(--${colour})"></i>`).join('');
  const blocked = shares.blocked > 0 ? `${fateName(placement)('blocked')} ${(100 * shares.blocked).toFixed(1)} %, ` : '';
  return row(placementName(placement), bars, longestInDoubtMs === 0 ? '' : `${blocked}open up to ${(longestInDoubtMs / 1000).toFixed(1)} s`);
}

function row(name: string, bars: string, figures: string): string {
  return `<tr><th>${escapeHtml(name)}</th><td><div class="track">${bars}</div></td><td class="figures">${escapeHtml(figures)}</td></tr>`;
}

function swatch(colour: string, text: string): string {
  return `<i style="background:var(--${colour})"></i>${escapeHtml(text)}`;
}
