/**
 * The state of the world as a vector of whole numbers: a head of fixed length, then the ids of the messages in flight, ascending, an id as
 * often as there are copies. Equal worlds are equal vectors.
 *
 *   0        tenure of the coordinator's database (4 bits), outcomes told (4), time (4), processes that are down (the rest)
 *   1        faults and requests used up, 4 bits each
 *   2, 3     firings of each named timer, 4 bits each
 *   4 ...    for each actor (one instance of one role) the id of its memory
 *   ...      for each role the id of its rows
 */
import type { System } from '../system.js';
import type { Bounds } from './bounds.js';

/** `coordinator#2` is the process of the second tenure; a site with one process gives it its own name. */
export interface Process {
  readonly name: string;
  /** 0: not a coordinator. */
  readonly tenure: number;
  /** Places of its roles in System.roles, and of their memories in the vector. */
  readonly roles: readonly number[];
  readonly actors: readonly number[];
}

export interface Layout {
  readonly processes: readonly Process[];
  /** By role: where its instances are. */
  readonly hosts: readonly (readonly { readonly process: number; readonly actor: number }[])[];
  readonly durables: number;
  readonly head: number;
}

export const TENURE_BITS = 0xf;
export const ONE_TOLD = 0x10;
export const ONE_TIME = 0x100;
export const FIRST_DOWN = 12;

/** Offsets into the word of what is used up. */
export const USED = { crashes: 0, losses: 4, duplicates: 8, commands: 12, starts: 16 } as const;
const FIRINGS = 2;
const COUNTERS_PER_WORD = 8;
export const MOST_TIMER_NAMES = 2 * COUNTERS_PER_WORD;
const ACTORS = 4;
const COORDINATOR = 'coordinator';

export function layoutOf({ roles }: System, { takeOvers }: Bounds): Layout {
  const processes: Process[] = [];
  const hosts: { process: number; actor: number }[][] = roles.map(() => []);
  let next = ACTORS;
  for (const site of new Set(roles.map((role) => role.site))) {
    const at = roles.flatMap((role, i) => (role.site === site ? [i] : []));
    const instances = site === COORDINATOR ? takeOvers + 1 : 1;
    for (let tenure = 1; tenure <= instances; tenure++) {
      const actors = at.map((role) => {
        hosts[role]!.push({ process: processes.length, actor: next });
        return next++;
      });
      processes.push({ name: site === COORDINATOR ? `${site}#${tenure}` : site, tenure: site === COORDINATOR ? tenure : 0, roles: at, actors });
    }
  }
  if (processes.length > 31 - FIRST_DOWN) throw new Error(`${processes.length} processes are more than the checker can count`);
  return { processes, hosts, durables: next, head: next + roles.length };
}

export function tenureOf(world: Int32Array): number {
  return world[0]! & TENURE_BITS;
}

export function toldIn(world: Int32Array): number {
  return (world[0]! >> 4) & 0xf;
}

export function timeOf(world: Int32Array): number {
  return (world[0]! >> 8) & 0xf;
}

export function isDown(world: Int32Array, process: number): boolean {
  return (world[0]! & (1 << (FIRST_DOWN + process))) !== 0;
}

export function setDown(world: Int32Array, process: number, down: boolean): void {
  const bit = 1 << (FIRST_DOWN + process);
  world[0] = down ? world[0]! | bit : world[0]! & ~bit;
}

export function usedOf(world: Int32Array, what: number): number {
  return (world[1]! >> what) & 0xf;
}

export function use(world: Int32Array, what: number): void {
  world[1] = world[1]! + (1 << what);
}

export function firingsOf(world: Int32Array, counter: number): number {
  return (world[FIRINGS + (counter >> 3)]! >> ((counter & 7) * 4)) & 0xf;
}

export function countFiring(world: Int32Array, counter: number): void {
  const word = FIRINGS + (counter >> 3);
  world[word] = (world[word]! + (1 << ((counter & 7) * 4))) | 0;
}

/** Nothing has failed, nobody has commanded anything, no timer has fired. */
export function isUndisturbed(world: Int32Array): boolean {
  return tenureOf(world) === 1 && world[1]! === 1 << USED.starts && world[FIRINGS] === 0 && world[FIRINGS + 1] === 0 && world[0]! >> FIRST_DOWN === 0;
}
