/** Faults that come at any moment of phase one, each kind at its rate. */
import { operate } from './client.js';
import type { FaultOdds } from './faults.js';
import { crash, slowDown, takeOver } from './lifecycle.js';
import { CHAOS, Event, JOIN, type World } from './model.js';
import { cut } from './network.js';
import { jumpClock } from './steps.js';

interface Chaos {
  rate(faults: FaultOdds): number;
  happen(world: World): void;
}

const KINDS: readonly Chaos[] = [
  { rate: ({ crashes }) => crashes, happen: crashOne },
  { rate: ({ partitions }) => partitions, happen: partition },
  { rate: ({ slow }) => slow, happen: slowOne },
  { rate: ({ clockJumps }) => clockJumps, happen: jumpOne },
  { rate: ({ takeOvers }) => takeOvers, happen: takeOverOne },
  { rate: ({ commands }) => commands, happen: (world) => operate(world, world.random.pick(world.transactions)) },
];

export function planChaos(world: World): void {
  for (let kind = 0; kind < KINDS.length; kind++) planNext(world, kind);
}

/** @param kind place in KINDS */
export function happen(world: World, kind: number): void {
  if (world.healed) return;
  KINDS[kind]!.happen(world);
  planNext(world, kind);
}

function planNext(world: World, kind: number): void {
  const rate = KINDS[kind]!.rate(world.faults);
  if (rate === 0) return;
  const atMs = world.nowMs + world.random.exponential(1000 / rate);
  if (atMs < world.healsAtMs) world.queue.push(new Event(atMs, CHAOS, null, null, null, kind));
}

/** Of the coordinator's processes the owner: the others do nothing that a crash could disturb. */
function crashOne(world: World): void {
  const process = world.random.pick(world.sites).owner;
  if (!process.up) return;
  world.counts.crash += 1;
  crash(world, process, 'at any moment');
}

/** Two groups, neither empty. */
function partition(world: World): void {
  const { random, sites, faults, counts } = world;
  const apart = random.below(sites.length);
  const isOne = sites.map((_, i) => i === apart || random.chance(0.4));
  const one = sites.filter((_, i) => isOne[i]);
  const other = sites.filter((_, i) => !isOne[i]);
  if (other.length === 0) return;
  const oneWay = random.chance(faults.oneWay);
  if (oneWay) counts.oneWayPartition += 1;
  else counts.partition += 1;
  cut(world, one, other);
  if (!oneWay) cut(world, other, one);
  world.queue.push(new Event(world.nowMs + random.exponential(faults.partitionMs), JOIN, null, null, null, 0));
}

function slowOne(world: World): void {
  const { random, faults } = world;
  world.counts.slow += 1;
  slowDown(world, random.pick(world.sites).owner, faults.slowFactor, random.exponential(faults.slowMs));
}

/** To any error within the bounds, so that the errors do not add up: what waits for a clock must end in bounded time. */
function jumpOne(world: World): void {
  const { random, faults } = world;
  const process = random.pick(world.processes);
  const errorMs = process.firstSkewMs + (2 * random.next() - 1) * faults.clockJumpMs;
  world.counts.clockJump += 1;
  jumpClock(world, process, Math.round(errorMs - process.skewMs));
}

function takeOverOne(world: World): void {
  const heir = world.random.pick(world.coordinator.processes);
  if (!heir.up || world.coordinator.lost) return;
  world.counts.takeOver += 1;
  takeOver(world, heir);
}
