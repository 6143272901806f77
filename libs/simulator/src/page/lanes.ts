/** The processes of a run, side by side, and when each of them was up. */
import { placeOf, type Index } from '../narrate.js';
import type { TraceEvent } from '../trace.js';

export interface Lane {
  readonly process: string;
  /** Processes over one database share a site: `coordinator#2` is of site `coordinator`. */
  readonly site: string;
  readonly x: number;
  /** Roles that this process plays; with more than one, labels name theirs. */
  readonly roles: ReadonlySet<string>;
}

export interface Segment {
  readonly process: string;
  readonly fromY: number;
  readonly toY: number;
  readonly state: 'up' | 'down' | 'absent';
}

const WIDE = 178;
const NARROW = 152;
const MOST_WIDE_LANES = 6;

export function siteOf(process: string): string {
  return process.replace(/#\d+$/, '');
}

export function laneWidth(lanes: number): number {
  return lanes > MOST_WIDE_LANES ? NARROW : WIDE;
}

/** Client first, then coordinators, participants and acceptors by number. */
export function lanesOf(events: readonly TraceEvent[], index: Index): Lane[] {
  const roles = new Map<string, Set<string>>();
  const touch = (process: string): Set<string> => {
    const found = roles.get(process) ?? new Set<string>();
    roles.set(process, found);
    return found;
  };
  for (const event of events) {
    const place = placeOf(event, index);
    if (place !== '' && place !== 'network') touch(place);
    if (event.kind === 'answer') touch('client');
    if (event.kind === 'send') touch(event.to);
    if (event.kind === 'step') touch(event.process).add(event.role);
  }
  const sorted = [...roles.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }));
  const width = laneWidth(sorted.length);
  return sorted.map((process, i) => ({ process, site: siteOf(process), x: width * (i + 0.5), roles: roles.get(process)! }));
}

function rank(process: string): number {
  if (process === 'client') return 0;
  return process.startsWith('coordinator') ? 1 : process.startsWith('p') ? 2 : 3;
}

/** A process over a database that another one opened is absent until its first event; from a crash to the next start it is down. */
export function segmentsOf(lane: Lane, events: readonly TraceEvent[], ys: readonly number[], index: Index, height: number): Segment[] {
  const changes: [number, Segment['state']][] = [[0, /#([2-9]|\d\d)/.test(lane.process) ? 'absent' : 'up']];
  events.forEach((event, i) => {
    if (placeOf(event, index) !== lane.process) return;
    const state = changes.at(-1)![1];
    if (event.kind === 'crash') changes.push([ys[i]!, 'down']);
    else if (state === 'absent' || (state === 'down' && (event.kind === 'restart' || event.kind === 'take-over'))) changes.push([ys[i]!, 'up']);
  });
  return changes.map(([fromY, state], i) => ({ process: lane.process, fromY, toY: changes[i + 1]?.[0] ?? height, state })).filter(({ fromY, toY }) => toY > fromY);
}
