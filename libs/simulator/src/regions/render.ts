/** The region report for people, and for docs/regions.md. Markdown that reads well as plain text. */
import { markdownTable } from '../costs/markdown.js';
import { nearestRegions, roundTripMs, REGIONS, type Region } from './map.js';
import { FATES, type Fate } from './outcome.js';
import type { Placement } from './placement.js';
import { kindOf, type Latency, type LossResult, type PlacementReport, type RegionKind } from './report.js';

const PROTOCOL_NAMES: Readonly<Record<Placement['protocol'], string>> = { '2pc': '2PC', '3pc': 'E3PC', 'paxos-commit': 'Paxos Commit', 'saga': 'saga' };

/** `Paxos Commit, 3 regions`. */
export function placementName({ protocol, control }: Placement): string {
  return `${PROTOCOL_NAMES[protocol]}, ${control} region${control === 1 ? '' : 's'}`;
}

const PARTICIPANT_TITLES: Readonly<Record<Placement['participants'], (home: Region) => string>> = {
  home: (home) => `All participants in ${home}, one in each zone`,
  spread: (home) => `Participants in ${nearestRegions(home, 3).join(', ')}`,
  away: (home) => `Participants in ${nearestRegions(home, 4).slice(1).join(', ')}; none in ${home}`,
};

export function participantsTitle(kind: Placement['participants'], home: Region): string {
  return PARTICIPANT_TITLES[kind](home);
}

/** The latency map: round trips in milliseconds. */
export function renderMap(): string {
  const between = (a: Region, b: Region): string => (a === b ? '' : String(roundTripMs({ region: a, zone: 0 }, { region: b, zone: 0 })));
  return markdownTable(['RTT, ms', ...REGIONS], REGIONS.map((a) => [a, ...REGIONS.map((b) => between(a, b))])).join('\n');
}

export function renderRegions(reports: readonly PlacementReport[]): string {
  const kinds = [...new Set(reports.map(({ placement }) => placement.participants))];
  return kinds.flatMap((kind) => {
    const of = reports.filter(({ placement }) => placement.participants === kind);
    const title = participantsTitle(kind, of[0]!.placement.home);
    return [`## ${title}`, '', 'Without failures, milliseconds after the request:', '', ...latencyTable(of), '', 'One region lost:', '', ...lossTable(of), ''];
  }).join('\n');
}

function latencyTable(reports: readonly PlacementReport[]): string[] {
  const rows = reports.map(({ placement, answered, applied }) => ({ placement, cells: [...latencies(answered), ...latencies(applied)] }));
  return markdownTable(['coordinator and acceptors', 'answer p50', 'answer p99', 'applied everywhere p50', 'p99'], mergeEqual(rows));
}

const KINDS: readonly RegionKind[] = ['coordinator', 'participant', 'acceptor only'];
const KIND_TEXTS: Readonly<Record<RegionKind, string>> = { 'coordinator': 'the coordinator\'s', 'participant': 'a participant\'s', 'acceptor only': 'neither\'s' };

function lossTable(reports: readonly PlacementReport[]): string[] {
  const header = ['coordinator and acceptors', 'region lost', 'lost under way', 'open up to', 'asked while it is lost', 'open up to', 'slowest answer p50'];
  return markdownTable(header, KINDS.flatMap((kind) => mergeEqual(reports.flatMap(({ placement, losses }) => {
    const of = losses.filter(({ region }) => kindOf(placement, region) === kind);
    return of.length === 0 ? [] : [{ placement, cells: lossCells(kind, of, fateName(placement)) }];
  }))));
}

type FateName = (fate: Fate) => string;

/** A saga holds no locks: what waits for the lost region is visible and half done. */
export function fateName({ protocol }: Placement): FateName {
  return (fate) => (protocol === 'saga' && fate === 'blocked' ? 'half done' : fate);
}

/** Over all regions of a kind. */
function lossCells(kind: RegionKind, losses: readonly LossResult[], name: FateName): string[] {
  const [underWay, before] = [losses.filter(({ when }) => when === 'under way'), losses.filter(({ when }) => when === 'before')];
  const answers = before.flatMap(({ answered }) => (answered === null ? [] : [answered.p50Ms]));
  const slowest = answers.length === 0 ? '-' : Math.max(...answers).toFixed(0);
  return [KIND_TEXTS[kind], sharesText(underWay, name), inDoubtText(underWay), sharesText(before, name), inDoubtText(before), slowest];
}

function sharesText(losses: readonly LossResult[], name: FateName): string {
  const mean = (of: (loss: LossResult) => number): number => losses.reduce((sum, loss) => sum + of(loss), 0) / losses.length;
  const fates = FATES.map((fate): [string, number] => [name(fate), mean(({ shares }) => shares[fate])]);
  const parts: [string, number][] = [...fates, ['refused', mean(({ refused }) => refused)]];
  return parts.filter(([, share]) => share > 0).map(([text, share]) => (share === 1 ? text : `${text} ${percent(share)}`)).join(', ');
}

function percent(share: number): string {
  return share < 0.001 ? '<0.1 %' : `${(share * 100).toFixed(1)} %`;
}

function inDoubtText(losses: readonly LossResult[]): string {
  const longestMs = Math.max(...losses.map((loss) => loss.longestInDoubtMs));
  if (longestMs === 0) return '-';
  return Number.isFinite(longestMs) ? `${(longestMs / 1000).toFixed(1)} s` : 'the end';
}

function latencies({ p50Ms, p99Ms }: Latency): [string, string] {
  return [p50Ms.toFixed(0), p99Ms.toFixed(0)];
}

interface Row {
  readonly placement: Placement;
  readonly cells: readonly string[];
}

/** Placements of one protocol that give the very same figures share a line: `2PC, 3 and 5 regions`. */
function mergeEqual(rows: readonly Row[]): string[][] {
  const groups = Map.groupBy(rows, ({ placement, cells }) => [placement.protocol, ...cells].join('|'));
  return [...groups.values()].map((group) => [groupName(group.map(({ placement }) => placement)), ...group[0]!.cells]);
}

function groupName(placements: readonly Placement[]): string {
  if (placements.length === 1) return placementName(placements[0]!);
  const counts = placements.map(({ control }) => control);
  return `${PROTOCOL_NAMES[placements[0]!.protocol]}, ${counts.slice(0, -1).join(', ')} and ${counts.at(-1)} regions`;
}
