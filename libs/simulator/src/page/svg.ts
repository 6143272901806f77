/** The sequence diagram as SVG text. Elements of event i carry `data-e="i"`, messages `data-end` too: the page's script steps by them. */
import { millis } from '../narrate.js';
import type { TraceEvent } from '../trace.js';
import { escapeHtml } from './html.js';
import type { Lane } from './lanes.js';
import { CHAR_WIDTH, type Arrow, type Layout, type Row } from './layout.js';

const GUTTER_WIDTH = 72;
const HEADER_HEIGHT = 34;
const LABEL_GAP = 12;
const TIME_LABEL_HEIGHT = 13;

export function gutterSvg({ rows, idles, height }: Layout): string {
  const labels: string[] = [];
  let shownMs: number | null = null;
  let lastY = -TIME_LABEL_HEIGHT;
  for (const { event, y } of rows) {
    if (event.atMs === shownMs || y - lastY < TIME_LABEL_HEIGHT) continue;
    labels.push(`<text x="${GUTTER_WIDTH - 12}" y="${n(y + 4)}">${millis(event.atMs)}</text>`);
    shownMs = event.atMs;
    lastY = y;
  }
  const pauses = idles.map(({ y, ms }) => `<text class="idle" x="${GUTTER_WIDTH - 12}" y="${n(y + 4)}">+${millis(ms)} ms</text>`);
  return `<svg class="gutter" width="${GUTTER_WIDTH}" height="${n(height)}" aria-hidden="true">${labels.join('')}${pauses.filter((_, i) => !crowded(idles[i]!.y, rows)).join('')}</svg>`;
}

function crowded(y: number, rows: readonly Row[]): boolean {
  return rows.some((row) => Math.abs(row.y - y) < TIME_LABEL_HEIGHT);
}

export function headerSvg({ lanes, width, laneWidth }: Layout): string {
  const heads = lanes.map(({ process, x }) => {
    const boxWidth = Math.min(laneWidth - 16, Math.max(64, process.length * 7.5 + 24));
    return `<g><rect x="${n(x - boxWidth / 2)}" y="5" width="${n(boxWidth)}" height="24" rx="6"/><text x="${n(x)}" y="21">${escapeHtml(process)}</text></g>`;
  });
  return `<svg class="heads" width="${n(width)}" height="${HEADER_HEIGHT}" aria-hidden="true">${heads.join('')}</svg>`;
}

export function diagramSvg(layout: Layout): string {
  const { width, height, rows, cuts, segments, arrows, lanes } = layout;
  const draw = new Drawing(layout);
  return [
    `<svg class="diagram" width="${n(width)}" height="${n(height)}" viewBox="0 0 ${n(width)} ${n(height)}" role="img" aria-label="Sequence diagram; step through it with the buttons or arrow keys">`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0.5 8 4 0 7.5z"/></marker></defs>',
    ...rows.map(({ y, height: high, told }, i) =>
      `<rect class="row" data-e="${i}"${transactions(told.transactions)} x="0" y="${n(y - high / 2)}" width="${n(width)}" height="${n(high)}"><title>${escapeHtml(told.text)}</title></rect>`),
    ...cuts.flatMap(({ first, fromY, toY, sides }) => [
      `<rect class="band" data-e="${first}" x="0" y="${n(fromY)}" width="${n(width)}" height="${n(toY - fromY)}"/>`,
      ...sides.flatMap((sites, side) => lanes.filter(({ site, process }) => sites.includes(site) || sites.includes(process))
        .map(({ x }) => `<rect class="side side-${side}" data-e="${first}" x="${n(x - layout.laneWidth / 2 + 5)}" y="${n(fromY)}" width="${n(layout.laneWidth - 10)}" height="${n(toY - fromY)}"/>`)),
    ]),
    ...segments.map(({ process, fromY, toY, state }) => `<line class="lane ${state}" x1="${n(draw.x(process))}" x2="${n(draw.x(process))}" y1="${n(fromY)}" y2="${n(toY)}"/>`),
    ...arrows.map((arrow) => draw.arrow(arrow)),
    ...rows.map((row, i) => draw.mark(row, i)),
    '</svg>',
  ].join('\n');
}

class Drawing {
  private readonly lanes: ReadonlyMap<string, Lane>;

  constructor(private readonly layout: Layout) {
    this.lanes = new Map(layout.lanes.map((lane) => [lane.process, lane]));
  }

  x(process: string): number {
    return this.lanes.get(process)?.x ?? this.layout.width / 2;
  }

  arrow(arrow: Arrow): string {
    const { send, sentAt, endsAt, lost, copy } = arrow;
    const [x1, x2] = [this.x(send.from), this.x(send.to)];
    const y1 = this.layout.rows[sentAt]!.y;
    const open = endsAt === null;
    const y2 = open ? y1 + 14 : this.layout.rows[endsAt]!.y;
    const shape = x1 === x2 ? loop(x1, y1, y2, send.id) : line(x1, y1, open ? x1 + (x2 - x1) * 0.3 : this.endX(arrow), y2, lost === null);
    const classes = ['message', copy && 'copy', lost !== null && 'lost', open && 'open'].filter(Boolean).join(' ');
    const end = open ? '' : ` data-end="${endsAt}"`;
    return `<path class="${classes}" data-e="${sentAt}"${end}${transactions(this.layout.rows[sentAt]!.told.transactions)} d="${shape}"/>`;
  }

  /** A message that found its receiver down ends there, any other lost one on the way. */
  private endX({ send, lost }: Arrow): number {
    const [x1, x2] = [this.x(send.from), this.x(send.to)];
    if (x1 === x2) return x1 + loopWidth(send.id);
    return lost === null || lost === 'process down' ? x2 : x1 + (x2 - x1) * 0.55;
  }

  mark(row: Row, i: number): string {
    const inside = this.inside(row, i);
    return inside === '' ? '' : `<g class="mark ${row.event.kind}" data-e="${i}"${transactions(row.told.transactions)}>${inside}</g>`;
  }

  private inside(row: Row, i: number): string {
    const { event, y } = row;
    switch (event.kind) {
      case 'send': return this.besideSend(event, y);
      case 'deliver': return '';
      case 'lose': return this.cross(i, y);
      case 'step': return this.step(event, row);
      case 'flush': return this.flush(event, y);
      case 'crash': return this.pill(event.process, event.forGood ? 'lost for good' : `crash ${event.when}`.trim(), y);
      case 'restart': return this.pill(event.process, 'restart', y);
      case 'take-over': return this.pill(event.process, `takes over, tenure ${event.tenure}`, y);
      case 'clock': return this.pill(event.process, `clock ${event.jumpMs > 0 ? '+' : ''}${millis(event.jumpMs)} ms`, y);
      case 'slow': return this.pill(event.process, event.factor === 1 ? 'normal speed' : `slow, factor ${millis(event.factor)}`, y);
      case 'client': return this.client(row, event.text);
      case 'answer': return this.answer(event, row);
      case 'cut': case 'join': case 'heal': case 'violation': return this.across(row);
    }
  }

  private besideSend({ from, to, text: words, id, txid }: Extract<TraceEvent, { kind: 'send' }>, y: number): string {
    const [x1, x2] = [this.x(from), this.x(to)];
    const label = `${this.layout.index.copies.has(id) ? 'copy: ' : ''}${this.several(txid)}${words}`;
    if (x1 === x2) return this.text(x1 + loopWidth(id) + 8, y + 4, label);
    return x2 > x1 ? this.text(x1 + LABEL_GAP, y - 3, label) : this.text(x1 - LABEL_GAP, y - 3, label, 'end');
  }

  private cross(at: number, y: number): string {
    const arrow = this.layout.arrows.find(({ endsAt }) => endsAt === at);
    if (arrow === undefined) return '';
    const x = this.endX(arrow);
    return `<path d="M${n(x - 5)} ${n(y - 5)}l10 10m0-10l-10 10"/>${this.text(x + 9, y + 4, arrow.lost === 'loss' ? 'lost' : arrow.lost!)}`;
  }

  private step({ process, role, txid, input, before, after }: Extract<TraceEvent, { kind: 'step' }>, { y, height, byMessage }: Row): string {
    const x = this.x(process);
    const roleName = this.lanes.get(process)!.roles.size > 1 ? `${shortRole(role)}: ` : '';
    const cause = byMessage ? '' : this.text(x, y - height / 2 + 12, `${this.several(txid)}${roleName}${input}`, 'middle', 'cause');
    if (before === after) return `${cause}<circle class="tick" cx="${n(x)}" cy="${n(y + (byMessage ? 0 : 8))}" r="3"/>`;
    return cause + this.chip(x, y + (byMessage ? 0 : 8), `${this.several(txid)}${roleName}${after}`, colourOf(after));
  }

  private flush({ process, records }: Extract<TraceEvent, { kind: 'flush' }>, y: number): string {
    const x = this.x(process);
    const many = this.lanes.get(process)!.roles.size > 1;
    const words = records.map(({ role, text, refused, txid }) => `${refused ? 'REFUSED ' : ''}${this.several(txid)}${many ? `${shortRole(role)} ` : ''}${text}`).join(', ');
    const refused = records.some((each) => each.refused) ? ' class="refused"' : '';
    return `<g${refused}><rect x="${n(x - 5)}" y="${n(y - 5)}" width="10" height="10" rx="2"/>${this.text(x + LABEL_GAP, y + 4, words)}</g>`;
  }

  private answer({ process, outcome, txid }: Extract<TraceEvent, { kind: 'answer' }>, { y }: Row): string {
    const [x1, x2] = [this.x(process), this.x('client')];
    return `<path d="${line(x1, y, x2, y, true)}"/>${this.text(x1 - LABEL_GAP, y - 4, `${this.several(txid)}answer: ${outcome}`, 'end')}`;
  }

  /** With an arrow to or from the process that the text names. */
  private client(row: Row, text: string): string {
    const words = text.split(/[\s()]+/);
    const process = words.find((word) => word !== 'client' && this.lanes.has(word));
    const label = this.pill('client', this.names(row) + (process === undefined ? text : text.replace(/ ?(to |\()?[\w#]+\)?$/, '')), row.y);
    if (process === undefined) return label;
    const [x1, x2] = [this.x('client'), this.x(process)];
    return `<path d="${text.includes(' told') ? line(x2, row.y, x1, row.y, true) : line(x1, row.y, x2, row.y, true)}"/>${label}`;
  }

  private across({ y, height, lines, event }: Row): string {
    const { width } = this.layout;
    const words = event.kind === 'join' ? ['network whole again'] : lines;
    const isWide = event.kind === 'violation' || event.kind === 'heal';
    const boxWidth = isWide ? width - 16 : Math.max(...words.map((each) => each.length)) * CHAR_WIDTH + 20;
    const box = `<rect x="8" y="${n(y - height / 2 + 2)}" width="${n(Math.min(boxWidth, width - 16))}" height="${n(height - 4)}" rx="5"/>`;
    const top = y - (lines.length - 1) * 8.5 + 4;
    return box + words.map((each, i) => this.text(20, top + i * 17, each)).join('');
  }

  private pill(process: string, words: string, y: number): string {
    const x = this.x(process);
    return this.chip(x, y, words, 'pill', 2 * Math.min(x, this.layout.width - x) - 8);
  }

  private chip(x: number, y: number, words: string, colour: string, room = this.layout.laneWidth - 8): string {
    const shown = clip(words, Math.floor((room - 16) / CHAR_WIDTH));
    const width = shown.length * CHAR_WIDTH + 16;
    const full = shown === words ? '' : `<title>${escapeHtml(words)}</title>`;
    return `<g class="chip ${colour}">${full}<rect x="${n(x - width / 2)}" y="${n(y - 9)}" width="${n(width)}" height="18" rx="9"/><text x="${n(x)}" y="${n(y + 4)}" text-anchor="middle">${escapeHtml(shown)}</text></g>`;
  }

  /** Cut to what is free between the place and the edge of the picture. */
  private text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end' = 'start', kind = ''): string {
    const { width, laneWidth } = this.layout;
    const room = anchor === 'start' ? width - x - 6 : anchor === 'end' ? x - 6 : laneWidth - 4;
    const shown = clip(words, Math.floor(room / CHAR_WIDTH));
    const attributes = `${kind === '' ? '' : ` class="${kind}"`}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`;
    return `<text x="${n(x)}" y="${n(y)}"${attributes}>${escapeHtml(shown)}</text>`;
  }

  private names({ told }: Row): string {
    return this.layout.index.names.size > 1 && told.transactions.length > 0 ? `${told.transactions.join('+')} ` : '';
  }

  private several(txid: string): string {
    return this.layout.index.names.size > 1 ? `${this.layout.index.names.get(txid) ?? txid} ` : '';
  }
}

function line(x1: number, y1: number, x2: number, y2: number, whole: boolean): string {
  const short = whole ? Math.sign(x2 - x1) * 4 : 0;
  return `M${n(x1)} ${n(y1)}L${n(x2 - short)} ${n(y2)}`;
}

/** A message from a process to itself goes round at its right; three widths keep neighbours apart. */
function loop(x: number, y1: number, y2: number, id: number): string {
  return `M${n(x)} ${n(y1)}h${loopWidth(id)}V${n(y2)}H${n(x + 4)}`;
}

function loopWidth(id: number): number {
  return 16 + (id % 3) * 7;
}

function transactions(names: readonly string[]): string {
  return names.length === 0 ? '' : ` data-t="${escapeHtml(names.join(' '))}"`;
}

/** `acceptor 1` -> `acc 1`: a lane has room for a short word only. */
function shortRole(role: string): string {
  return role.replace(/^([a-z]{3})[a-z-]*/, '$1');
}

function colourOf(label: string): string {
  if (/attention|block|stuck|uncertain/.test(label)) return 'warn';
  if (/pre-?commit|accept|promis/.test(label)) return 'ready';
  if (/abort|compensat|refus|fail|\bno\b/.test(label)) return 'bad';
  if (/commit|complet|read-only/.test(label)) return 'good';
  return /prepar|voted|yes|run/.test(label) ? 'ready' : 'plain';
}

function clip(words: string, chars: number): string {
  return words.length <= chars ? words : `${words.slice(0, Math.max(1, chars - 1))}…`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
