/** One run as one HTML file: no network, no library, works by a double click. */
import type { TraceEvent } from '../trace.js';
import { escapeHtml, scriptJson } from './html.js';
import { layOut } from './layout.js';
import { SCRIPT } from './script.js';
import { storyOf, type Story } from './story.js';
import { STYLE } from './style.js';
import { diagramSvg, gutterSvg, headerSvg } from './svg.js';

export interface PageRun {
  /** `Paxos Commit, seed 4711`. */
  readonly title: string;
  /** What the run was made from, in pairs: `participants`, `3`. */
  readonly facts: readonly (readonly [string, string])[];
  /** The command that makes this page again. */
  readonly replay: string;
  /** How each transaction ended, by txid; `open` where it did not. */
  readonly outcomes: readonly { readonly txid: string; readonly outcome: string }[];
  /** The property that does not hold; null: all do. */
  readonly violation: string | null;
  readonly events: readonly TraceEvent[];
}

export function page(run: PageRun): string {
  const layout = layOut(run.events);
  const story = storyOf(layout);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(run.title)}</title>
<style>${STYLE}</style>
</head>
<body>
${header(run, layout.index.names)}
<main>
<div id="pane" tabindex="0" aria-label="Sequence diagram">
<div class="sheet"><div class="corner">ms</div>${headerSvg(layout)}${gutterSvg(layout)}${diagramSvg(layout)}</div>
</div>
<aside>
${controls(story)}
<section class="card" id="now" aria-live="polite"><div id="when"></div><div id="what"></div><div id="meaning"></div></section>
${roleTable(story)}
<section class="card"><dl><dt>under way</dt><dd id="flying"></dd><dt>client was told</dt><dd id="told"></dd></dl></section>
<div class="keys"><kbd>←</kbd> <kbd>→</kbd> step &nbsp; <kbd>space</kbd> play &nbsp; <kbd>Home</kbd> <kbd>End</kbd> jump &nbsp; <kbd>v</kbd> violation &nbsp; <kbd>Esc</kbd> overview</div>
</aside>
</main>
<script type="application/json" id="story">${scriptJson(story)}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function header({ title, facts, replay, outcomes, violation }: PageRun, names: ReadonlyMap<string, string>): string {
  const several = outcomes.length > 1;
  const byName = [...outcomes].sort((a, b) => [...names.keys()].indexOf(a.txid) - [...names.keys()].indexOf(b.txid));
  const chips = byName.map(({ txid, outcome }) => `<span class="outcome ${toneOf(outcome)}" title="${escapeHtml(txid)}">${several ? `${escapeHtml(names.get(txid) ?? txid)} ` : ''}${escapeHtml(outcome)}</span>`);
  return `<header>
<h1>${escapeHtml(title)}</h1>${chips.join('')}
<div class="facts">${facts.map(([name, value]) => `${escapeHtml(name)} <b>${escapeHtml(value)}</b>`).join(' · ')}</div>
<div class="replay"><code id="replay">${escapeHtml(replay)}</code><button id="copy">copy</button></div>
${violation === null ? '' : `<div class="broken" role="alert">${escapeHtml(violation)} <button id="violation-link">show</button></div>`}
</header>`;
}

function toneOf(outcome: string): string {
  if (/commit|complet/.test(outcome)) return 'good';
  return /abort|compensat/.test(outcome) ? 'bad' : 'warn';
}

const ICONS = {
  first: 'M1 1h2v10H1zM11 1v10L4 6z', back: 'M9 1v10L2 6z', play: 'M2 0v12l9-6z', bars: 'M2 1h3v10H2zM7 1h3v10H7z', forward: 'M3 1v10l7-5z', end: 'M9 1h2v10H9zM1 1v10l7-5z',
} as const;

function icon(name: keyof typeof ICONS, kind: string): string {
  return `<svg class="${kind}" viewBox="0 0 12 12" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
}

function button(id: 'first' | 'back' | 'forward' | 'end', label: string): string {
  return `<button id="${id}" aria-label="${label}" title="${label}">${icon(id, '')}</button>`;
}

function controls({ events, transactions }: Story): string {
  const violation = events.some(({ kind }) => kind === 'violation') ? '<button id="violation">violation</button>' : '';
  const filter = transactions.length < 2 ? '' :
    `<label>transaction <select id="only"><option value="">all</option>${transactions.map((name) => `<option>${escapeHtml(name)}</option>`).join('')}</select></label>`;
  return `<section class="card controls">
<input type="range" id="slider" min="0" max="${Math.max(0, events.length - 1)}" value="0" aria-label="Event">
${button('first', 'First event')}${button('back', 'Previous event')}
<button id="play" aria-label="Play">${icon('play', 'triangle')}${icon('bars', 'bars')}</button>
${button('forward', 'Next event')}${button('end', 'Last event')}<button id="overview">whole run</button>${violation}
<select id="speed" aria-label="Speed"><option value="0.5">½×</option><option value="1" selected>1×</option><option value="2">2×</option><option value="4">4×</option><option value="8">8×</option></select>
${filter}<span id="position"></span>
</section>`;
}

function roleTable({ roles, transactions }: Story): string {
  const rows = roles.map(({ process, role, transaction }, i) =>
    `<tr id="role-${i}"><td>${escapeHtml(role)}<small>${escapeHtml(process)}${transactions.length > 1 ? `, ${escapeHtml(transaction)}` : ''}</small></td><td>-</td><td>-</td></tr>`);
  return `<section class="card"><table><thead><tr><th>role</th><th>in memory</th><th>last durable</th></tr></thead><tbody>${rows.join('')}</tbody></table></section>`;
}
