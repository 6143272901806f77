/** Faults that a staged run asks for, at their times. */
import type { SiteName } from '../system.js';
import type { ProcessName } from '../trace.js';
import { crash, lose, restart, revive, slowDown, takeOver } from './lifecycle.js';
import { Event, SCRIPT, type Process, type Site, type World } from './model.js';
import { cut, join } from './network.js';
import { jumpClock } from './steps.js';

export type ScriptedEvent = { readonly atMs: number } & (
  /** `oneWay`: only the messages in this direction are lost. */
  | { readonly kind: 'cut'; readonly from: readonly SiteName[]; readonly to: readonly SiteName[]; readonly oneWay?: boolean }
  | { readonly kind: 'join' }
  /** The process is down until `restart` or the end of phase one. */
  | { readonly kind: 'crash'; readonly process: ProcessName }
  | { readonly kind: 'restart'; readonly process: ProcessName }
  | { readonly kind: 'take-over'; readonly process: ProcessName }
  | { readonly kind: 'lose-site'; readonly site: SiteName }
  | { readonly kind: 'revive-site'; readonly site: SiteName }
  | { readonly kind: 'clock'; readonly process: ProcessName; readonly jumpMs: number }
  | { readonly kind: 'slow'; readonly process: ProcessName; readonly factor: number; readonly forMs: number }
);

/** @throws Error when an event names a site or a process that is not there */
export function planScript(world: World, schedule: readonly ScriptedEvent[]): void {
  for (const scripted of schedule) {
    checkNames(world, scripted);
    world.queue.push(new Event(scripted.atMs, SCRIPT, null, null, scripted, 0));
  }
}

function checkNames(world: World, scripted: ScriptedEvent): void {
  if ('site' in scripted) siteNamed(world, scripted.site);
  if ('process' in scripted) processNamed(world, scripted.process);
  if ('from' in scripted) for (const name of [...scripted.from, ...scripted.to]) siteNamed(world, name);
}

export function perform(world: World, scripted: ScriptedEvent): void {
  switch (scripted.kind) {
    case 'cut': {
      const from = scripted.from.map((name) => siteNamed(world, name));
      const to = scripted.to.map((name) => siteNamed(world, name));
      cut(world, from, to);
      return scripted.oneWay === true ? undefined : cut(world, to, from);
    }
    case 'join': return join(world);
    case 'crash': return crash(world, processNamed(world, scripted.process), 'as planned', undefined, FOREVER_MS);
    case 'restart': return restart(world, processNamed(world, scripted.process));
    case 'take-over': return takeOver(world, processNamed(world, scripted.process));
    case 'lose-site': {
      world.counts.loseSite += 1;
      return lose(world, siteNamed(world, scripted.site));
    }
    case 'revive-site': return revive(world, siteNamed(world, scripted.site));
    case 'clock': return jumpClock(world, processNamed(world, scripted.process), scripted.jumpMs);
    case 'slow': return slowDown(world, processNamed(world, scripted.process), scripted.factor, scripted.forMs);
  }
}

const FOREVER_MS = Infinity;

function siteNamed({ sites }: World, name: SiteName): Site {
  const site = sites.find((each) => each.name === name);
  if (site === undefined) throw new Error(`there is no site ${name}; there are: ${sites.map((each) => each.name).join(', ')}`);
  return site;
}

function processNamed({ processes }: World, name: ProcessName): Process {
  const process = processes.find((each) => each.name === name);
  if (process === undefined) throw new Error(`there is no process ${name}; there are: ${processes.map((each) => each.name).join(', ')}`);
  return process;
}
