import { allCrashPoints, parseCrashPoint } from '#libs/runtime';
import type { ProtocolName } from '../../libs/protocol/src/messages.ts';
import type { MatrixOptions, Role } from './options.ts';

/**
 * restart    the process is started again at once
 * takeover   the coordinator stays dead, another one takes its shards over; it comes back for the next cell
 * alone      the only coordinator stays dead until no branch is in doubt any more: what non-blocking protocols promise
 * absent     the participant stays dead until every client has its answer
 */
export type Mode = 'restart' | 'takeover' | 'alone' | 'absent';

export interface Cell {
  readonly point: string;
  readonly protocol: ProtocolName;
  readonly role: Role;
  readonly scenario: string;
  /** Others in which this process came by, to be tried when the first one does not bring it there again. */
  readonly otherwise: readonly string[];
  /** Which process is killed. */
  readonly victim: string;
  readonly mode: Mode;
  /** At its how many-th time there. */
  readonly nth: number;
}

/** In which scenario which process came by which crash points. */
export interface Sighting {
  readonly protocol: ProtocolName;
  readonly scenario: string;
  readonly process: string;
  readonly points: readonly string[];
}

export interface Plan {
  readonly cells: readonly Cell[];
  /** In the code's list, but nobody came by in any scenario. */
  readonly neverReached: readonly string[];
  /** Somebody came by, but not in the code's list: the list has a gap. */
  readonly unlisted: readonly string[];
}

/** One cell for each crash point, protocol and mode that fits, in the first scenario that reaches it; processes take turns. */
export function planCells(sightings: readonly Sighting[], options: Pick<MatrixOptions, 'protocols' | 'roles' | 'points' | 'sample' | 'seed'>): Plan {
  const listed = new Set(allCrashPoints());
  const seen = new Set(sightings.flatMap(({ points }) => points));
  const cells = options.protocols.flatMap((protocol) => cellsOf(sightings.filter((s) => s.protocol === protocol), protocol));
  const wanted = cells.filter(({ point, role }) => options.roles.includes(role) && point.includes(options.points));
  const chosen = options.sample === null ? wanted : sample(wanted, options.sample, options.seed);
  return {
    cells: [...chosen].sort((a, b) => MODES.indexOf(a.mode) - MODES.indexOf(b.mode)),
    neverReached: [...listed].filter((name) => !seen.has(name) && concerns(name, options.protocols)),
    unlisted: [...seen].filter((name) => !listed.has(name)),
  };
}

/** Cells with the same set of processes one after the other. */
const MODES: readonly Mode[] = ['restart', 'absent', 'alone', 'takeover'];

function concerns(name: string, protocols: readonly ProtocolName[]): boolean {
  const { protocol } = parseCrashPoint(name)!;
  return protocol === null || (protocols as readonly string[]).includes(protocol);
}

function cellsOf(sightings: readonly Sighting[], protocol: ProtocolName): readonly Cell[] {
  const scenarios = new Map<string, string>();
  for (const { scenario, points } of sightings) for (const point of points) if (isOf(point, protocol) && !scenarios.has(point)) scenarios.set(point, scenario);
  return [...scenarios].flatMap(([point, scenario], i) => {
    const { role, protocol: own } = parseCrashPoint(point)!;
    const processes = sightings.filter((s) => s.scenario === scenario && s.points.includes(point)).map((s) => s.process);
    // Of three processes in turn; the second time only where a point is reached often.
    const victim = processes[i % processes.length]!;
    const nth = scenario === 'yes' && own !== null ? 1 + (i % 2) : 1;
    const otherwise = sightings.filter((s) => s.scenario !== scenario && s.process === victim && s.points.includes(point)).map((s) => s.scenario);
    return modesFor(point, protocol, role, scenario, victim).map((mode): Cell => ({ point, protocol, role, scenario, otherwise, victim, mode, nth }));
  });
}

/** A point without a protocol belongs to all of them. */
function isOf(point: string, protocol: ProtocolName): boolean {
  const parsed = parseCrashPoint(point);
  return parsed !== null && (parsed.protocol === null || parsed.protocol === protocol);
}

function modesFor(point: string, protocol: ProtocolName, role: Role, scenario: string, victim: string): readonly Mode[] {
  // Who plays the silent coordinator cannot die in that part, and where it is silent nobody gets an answer without it.
  if (scenario.startsWith('silent')) return ['restart'];
  if (role === 'coordinator') return protocol === '3pc' || protocol === 'paxos-commit' ? ['restart', 'alone', 'takeover'] : ['restart', 'takeover'];
  // Without the only participant of a one-phase transaction, or a saga's, there is no answer.
  const answered = protocol !== 'saga' && !scenario.startsWith('one phase') && !point.includes('ANNOUNCE') && !victim.startsWith('coordinator');
  return answered ? ['restart', 'absent'] : ['restart'];
}

/** The same for the same seed. */
function sample<T>(all: readonly T[], count: number, seed: number): readonly T[] {
  const random = randomFrom(seed);
  const left = [...all];
  const drawn = new Set<T>();
  while (drawn.size < count && left.length > 0) drawn.add(left.splice(Math.floor(random() * left.length), 1)[0]!);
  return all.filter((one) => drawn.has(one));
}

/** mulberry32: numbers in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
