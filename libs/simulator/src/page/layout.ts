/**
 * Where everything of a sequence diagram lies. Every event has a row of its own, so that no two labels can meet; rows follow the trace,
 * so time only runs down. Idle time is drawn by its logarithm.
 */
import { indexOf, narrate, type Index, type Send, type Told } from '../narrate.js';
import type { TraceEvent } from '../trace.js';
import { laneWidth, lanesOf, segmentsOf, type Lane, type Segment } from './lanes.js';

export interface Row {
  readonly event: TraceEvent;
  readonly told: Told;
  readonly y: number;
  readonly height: number;
  /** The step was caused by the message of the row above, which names it. */
  readonly byMessage: boolean;
  /** Lines of a text that goes over the whole width. */
  readonly lines: readonly string[];
}

export interface Arrow {
  readonly send: Send;
  readonly copy: boolean;
  readonly sentAt: number;
  /** Row of the delivery or loss; null: still under way when the trace ends. */
  readonly endsAt: number | null;
  readonly lost: string | null;
}

export interface Idle {
  readonly y: number;
  readonly ms: number;
}

export interface Cut {
  readonly first: number;
  readonly fromY: number;
  readonly toY: number;
  readonly sides: readonly [readonly string[], readonly string[]];
}

export interface Layout {
  readonly index: Index;
  readonly lanes: readonly Lane[];
  readonly laneWidth: number;
  readonly segments: readonly Segment[];
  readonly rows: readonly Row[];
  readonly arrows: readonly Arrow[];
  readonly cuts: readonly Cut[];
  readonly idles: readonly Idle[];
  readonly width: number;
  readonly height: number;
}

const TOP = 14;
const BOTTOM = 40;
/** Room for what stands to the right of the last lane. */
const RIGHT_MARGIN = 120;
const LINE_HEIGHT = 17;
/** Milliseconds without any event that are marked as a pause. */
const PAUSE_MS = 100;
export const CHAR_WIDTH = 6.4;

export function layOut(events: readonly TraceEvent[]): Layout {
  const index = indexOf(events);
  const lanes = lanesOf(events, index);
  const width = Math.max(2, lanes.length) * laneWidth(lanes.length) + RIGHT_MARGIN;
  const { rows, idles, height } = stack(narrate(events, index), index, Math.floor((width - 60) / CHAR_WIDTH));
  const ys = rows.map(({ y }) => y);
  return {
    index, lanes, laneWidth: laneWidth(lanes.length), rows, idles, width, height,
    segments: lanes.flatMap((lane) => segmentsOf(lane, events, ys, index, height)),
    arrows: arrowsOf(events, index),
    cuts: cutsOf(events, ys, height),
  };
}

function stack(told: readonly Told[], index: Index, charsPerLine: number): { rows: Row[]; idles: Idle[]; height: number } {
  const rows: Row[] = [];
  const idles: Idle[] = [];
  let bottom = TOP;
  told.forEach((each, i) => {
    const pauseMs = i === 0 ? 0 : each.event.atMs - told[i - 1]!.event.atMs;
    const pause = Math.min(60, 3 * Math.log2(1 + Math.max(0, pauseMs))) + (pauseMs >= PAUSE_MS ? 14 : 0);
    if (pauseMs >= PAUSE_MS) idles.push({ y: bottom + pause / 2, ms: pauseMs });
    const byMessage = i > 0 && isAnsweredBy(told[i - 1]!.event, each.event, index);
    const lines = isWide(each.event) ? wrap(each.text, charsPerLine) : [];
    const height = heightOf(each.event, byMessage, lines.length);
    rows.push({ event: each.event, told: each, y: bottom + pause + height / 2, height, byMessage, lines });
    bottom += pause + height;
  });
  return { rows, idles, height: bottom + BOTTOM };
}

function isAnsweredBy(before: TraceEvent, event: TraceEvent, { sends }: Index): boolean {
  if (before.kind !== 'deliver' || event.kind !== 'step' || before.atMs !== event.atMs) return false;
  const send = sends.get(before.id);
  return send !== undefined && send.to === event.process && send.txid === event.txid && send.receiver === event.role;
}

function isWide({ kind }: TraceEvent): boolean {
  return kind === 'violation' || kind === 'cut' || kind === 'join' || kind === 'heal';
}

function heightOf(event: TraceEvent, byMessage: boolean, lines: number): number {
  switch (event.kind) {
    case 'deliver': return 14;
    case 'step': return (event.before === event.after ? 14 : 26) + (byMessage ? 0 : 16);
    case 'lose': return 20;
    case 'cut': case 'join': return 8 + lines * LINE_HEIGHT;
    case 'heal': case 'violation': return 16 + lines * LINE_HEIGHT;
    case 'crash': case 'restart': case 'take-over': case 'client': return 28;
    default: return 22;
  }
}

function arrowsOf(events: readonly TraceEvent[], { copies }: Index): Arrow[] {
  const ends = new Map<number, { at: number; lost: string | null }>();
  events.forEach((event, at) => {
    if (event.kind === 'deliver') ends.set(event.id, { at, lost: null });
    if (event.kind === 'lose') ends.set(event.id, { at, lost: event.why });
  });
  return events.flatMap((send, sentAt) => {
    if (send.kind !== 'send') return [];
    const end = ends.get(send.id);
    return [{ send, copy: copies.has(send.id), sentAt, endsAt: end?.at ?? null, lost: end?.lost ?? null }];
  });
}

/** One band from the first cut to the moment when all can talk again; the sides are those of the first cut. */
function cutsOf(events: readonly TraceEvent[], ys: readonly number[], height: number): Cut[] {
  const cuts: Cut[] = [];
  let open: Omit<Cut, 'toY'> | null = null;
  const close = (toY: number): void => {
    if (open !== null) cuts.push({ ...open, toY });
    open = null;
  };
  events.forEach((event, i) => {
    if (event.kind === 'cut') open ??= { first: i, fromY: ys[i]!, sides: [event.from, event.to] };
    if (event.kind === 'join' || event.kind === 'heal') close(ys[i]!);
  });
  close(height);
  return cuts;
}

/** Breaks between words; a word longer than a line is broken anywhere. */
export function wrap(text: string, chars: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > chars) {
    const space = rest.lastIndexOf(' ', chars);
    const end = space > 0 ? space : chars;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
