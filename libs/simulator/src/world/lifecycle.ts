/** Processes die, come back, and take the coordinator's shard over from each other. */
import { Event, LEARN, RECOVER_SPEED, RESTART, TAKE_OVER, type Pending, type Process, type Site, type World } from './model.js';
import { comeAgain } from './network.js';
import { bootAll, forgetAll } from './steps.js';

/**
 * All memory of the process is lost.
 * @param when for the trace, after `crashes`
 * @param downMs until it is back; Infinity: when somebody restarts it
 * @param handled steps of the flush that it dies in: their messages may come again, as those of unflushed steps
 */
export function crash(
  world: World, process: Process, when: string, handled: readonly Pending[] = process.pending, downMs = world.random.exponential(world.faults.restartMs),
): void {
  const { random } = world;
  const { site } = process;
  const backMs = world.nowMs + downMs;
  if (!site.lost && backMs < Infinity) redeliver(world, handled, backMs);
  process.up = false;
  forgetAll(process);
  world.trace?.({ atMs: world.nowMs, kind: 'crash', process: process.name, when, forGood: site.lost });
  if (site.lost || backMs === Infinity) return;
  world.queue.push(new Event(backMs, RESTART, process, null, null, 0));
  if (site.processes.length > 1 && site.owner === process && random.chance(REPLACED)) {
    const heir = site.processes[random.below(site.processes.length)]!;
    world.queue.push(new Event(world.nowMs + random.exponential(NOTICED_MS), TAKE_OVER, heir, null, null, 0));
  }
}

/** How often a dead owner is replaced before it is back, perhaps. */
const REPLACED = 0.7;
const NOTICED_MS = 300;
/** Of half of the crashes the position in the queue was not stored: what was being handled comes again. */
const REREAD = 0.5;

function redeliver(world: World, handled: readonly Pending[], backMs: number): void {
  if (handled.length === 0 || !world.random.chance(REREAD)) return;
  for (const { instance, message } of handled) {
    if (message !== null) comeAgain(world, instance, message, backMs + 1);
  }
}

/** A coordinator process that still owns the shard according to the tables takes it again; others wait. */
export function restart(world: World, process: Process): void {
  if (process.up || process.site.lost) return;
  process.up = true;
  world.trace?.({ atMs: world.nowMs, kind: 'restart', process: process.name });
  if (!process.site.shared) return bootAll(world, process);
  process.tenure = 0;
  if (process.site.owner === process) takeOver(world, process);
}

/** The process owns the shard from now on. Who owned it before may not know for a while. */
export function takeOver(world: World, process: Process): void {
  const { site } = process;
  if (!process.up || site.lost) return;
  const before = site.owner;
  forgetAll(process);
  site.tenure += 1;
  site.owner = process;
  process.tenure = site.tenure;
  world.trace?.({ atMs: world.nowMs, kind: 'take-over', process: process.name, tenure: site.tenure });
  if (before !== process && before.up) {
    const { wrongOwnerMs } = world.faults;
    if (wrongOwnerMs === 0) learn(before);
    else world.queue.push(new Event(world.nowMs + world.random.exponential(wrongOwnerMs), LEARN, before, null, null, 0));
  }
  bootAll(world, process);
}

/** A replaced owner hears of it and lets go of everything. */
export function learn(process: Process): void {
  if (process.site.owner === process || !process.site.shared) return;
  process.tenure = 0;
  forgetAll(process);
}

export function lose(world: World, site: Site): void {
  site.lost = true;
  for (const process of site.processes) if (process.up) crash(world, process, 'and is lost', []);
}

/** What was lost for good comes back after all: the proof that nothing but its absence was in the way of the end. */
export function revive(world: World, site: Site): void {
  if (!site.lost) return;
  site.lost = false;
  for (const process of site.processes) restart(world, process);
}

/** Everybody is up and one owner owns. */
export function repair(world: World, site: Site): void {
  if (site.lost) return;
  for (const process of site.processes) {
    process.slowFactor = 1;
    if (process !== site.owner) learn(process);
  }
  if (!site.owner.up && site.shared) {
    const heir = site.processes.find(({ up }) => up);
    if (heir !== undefined) takeOver(world, heir);
  }
  for (const process of site.processes) restart(world, process);
}

export function slowDown(world: World, process: Process, factor: number, forMs: number): void {
  process.slowFactor = factor;
  world.trace?.({ atMs: world.nowMs, kind: 'slow', process: process.name, factor });
  world.queue.push(new Event(world.nowMs + forMs, RECOVER_SPEED, process, null, null, 0));
}
