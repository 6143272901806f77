/**
 * Discrete-event simulation of transactions over sites that fail: phase one with faults, phase two without, in which everything must
 * end. A run is a function of its options: the same seed gives the same run. After tigerbeetle's src/vopr.zig.
 */
import type { SiteName } from '../system.js';
import { build } from './build.js';
import { happen, planChaos } from './chaos.js';
import { checkConservation, checkExpected, checkLeftovers, checkRequests, outcomeOf } from './checks.js';
import { cancel, plan, receiveRequest, request } from './client.js';
import { NO_FAULTS, type FaultOdds } from './faults.js';
import { flush } from './flush.js';
import { learn, repair, restart, revive, takeOver } from './lifecycle.js';
import {
  BEGIN_FAULTS, CHAOS, CHECK, CLIENT, COMMAND, DELIVER, Event, FLUSH, HEAL, JOIN, LEARN, RECOVER_SPEED, REQUEST, RESTART, SCRIPT, TAKE_OVER, TIMER, Violation,
  type Transaction, type World,
} from './model.js';
import { arrives, join } from './network.js';
import { LIMITS, type Limits, type RunOptions, type RunResult } from './options.js';
import { perform, planScript, type ScriptedEvent } from './script.js';
import { fire, step } from './steps.js';

/**
 * How often phase two looks whether everything has ended: it has when it has for two looks in a row. Then what is still on its way must arrive
 * and every timer run out (late messages must not harm, and nobody may go on for ever), unless a site is gone that somebody keeps asking.
 */
const LOOK_MS = 1000;

export function simulate(options: RunOptions): RunResult {
  return new Run(options).result();
}

class Run {
  private readonly world: World;
  private readonly limits: Limits;
  private events = 0;
  private lastMs = 0;
  private looks = 0;
  private over = false;
  private deadlineMs = Infinity;
  private lostAtMs = -1;
  private blockedMs = 0;
  private readonly disturbed: boolean;

  constructor(private readonly options: RunOptions) {
    this.world = build(options);
    this.limits = { ...LIMITS, ...options.limits };
    this.disturbed = (options.schedule?.length ?? 0) > 0;
  }

  result(): RunResult {
    const violation = this.play();
    const { world } = this;
    if (violation !== null) world.trace?.({ atMs: world.nowMs, kind: 'violation', text: violation });
    return {
      violation, ended: this.over && violation === null, atMs: this.lastMs, events: this.events, messages: world.messages,
      outcomes: world.transactions.map(outcomeOf), longestInDoubtMs: world.longestInDoubtMs, blockedMs: this.blockedMs, faults: world.counts,
    };
  }

  private play(): string | null {
    this.begin();
    try {
      this.loop();
      this.checkEnd();
      return null;
    } catch (error) {
      return textOf(error);
    }
  }

  private begin(): void {
    const { world, options: { faults, schedule = [] } } = this;
    for (const transaction of world.transactions) plan(world, transaction);
    planScript(world, schedule);
    this.planLosses();
    world.faults = calm(faults);
    world.queue.push(new Event(faults.fromMs, BEGIN_FAULTS, null, null, null, 0));
    world.queue.push(new Event(world.healsAtMs, HEAL, null, null, null, 0));
  }

  private beginFaults(): void {
    const { world, options } = this;
    world.faults = options.faults;
    planChaos(world);
  }

  private planLosses(): void {
    const { world, options: { mayLose = [], faults } } = this;
    for (const site of mayLose) {
      if (world.random.chance(faults.loseSite)) planScript(world, [{ atMs: faults.fromMs + world.random.next() * faults.faultMs, kind: 'lose-site', site }]);
    }
  }

  private loop(): void {
    const { world, limits } = this;
    const { queue } = world;
    while (!this.over) {
      const event = queue.pop()!;
      if (event.cancelled) continue;
      world.nowMs = event.atMs;
      if (++this.events > limits.events) throw new Violation(`AC5: not at an end after ${limits.events} events`);
      this.take(event);
    }
  }

  private take(event: Event): void {
    const { world } = this;
    switch (event.kind) {
      case DELIVER:
        if (arrives(world, event)) step(world, event.instance!, { kind: 'MESSAGE', message: event.data }, event.data);
        return;
      case FLUSH: return flush(world, event.process!);
      case TIMER: return fire(world, event);
      case CLIENT: return request(world, event.data as Transaction);
      case REQUEST: return receiveRequest(world, event.process!, event.data as Transaction);
      case COMMAND: return world.healed ? undefined : cancel(world, event.data as Transaction);
      case RESTART: return restart(world, event.process!);
      case TAKE_OVER: return world.healed ? undefined : takeOver(world, event.process!);
      case LEARN: return learn(event.process!);
      case RECOVER_SPEED: event.process!.slowFactor = 1; return;
      case JOIN: return world.healed ? undefined : join(world);
      case CHAOS: return happen(world, event.n);
      case SCRIPT: return this.perform(event.data as ScriptedEvent);
      case BEGIN_FAULTS: return this.beginFaults();
      case HEAL: return this.heal();
      case CHECK: return this.look();
      default: throw new Error(`no event is of kind ${event.kind}`);
    }
  }

  private perform(scripted: ScriptedEvent): void {
    if (scripted.kind === 'lose-site' && this.lostAtMs < 0) this.lostAtMs = this.world.nowMs;
    perform(this.world, scripted);
  }

  // ---------------------------------------------------------------- phase two

  private heal(): void {
    const { world } = this;
    world.faults = calm(world.faults);
    world.healed = true;
    world.trace?.({ atMs: world.nowMs, kind: 'heal' });
    join(world);
    for (const site of world.sites) repair(world, site);
    this.deadlineMs = world.nowMs + this.limits.endMs;
    this.lookLater();
  }

  private lookLater(): void {
    this.world.queue.push(new Event(this.world.nowMs + LOOK_MS, CHECK, null, null, null, 0));
  }

  private look(): void {
    const { world } = this;
    const living = new Set<SiteName>();
    for (const { name, lost } of world.sites) if (!lost) living.add(name);
    const whole = living.size === world.sites.length;
    const waiting = world.transactions.some(({ client }) => !client.done);
    const open = world.transactions.filter(({ system, view }) => !system.ended(view, living));
    const quiet = world.queue.size === 0;
    this.looks = open.length > 0 || waiting ? 0 : this.looks + 1;
    const settled = this.looks >= 2 || (this.looks === 1 && quiet);
    if (this.looks <= 2) this.lastMs = world.nowMs;
    if (settled && !(whole && isBusy(world))) return this.settled(living, whole);
    const stuck = quiet && (whole || open.some(({ system }) => system.nonBlocking));
    if (world.nowMs > this.deadlineMs || stuck) throw new Violation(`AC5: ${this.describe(open, whole)}`);
    const blocked = open.length > 0 && !whole && !waiting && open.every(({ system }) => !system.nonBlocking);
    if (blocked && world.nowMs > this.lostAtMs + this.limits.blockedMs) {
      this.blockedMs = world.nowMs - this.lostAtMs;
      return this.settled(living, whole);
    }
    this.lookLater();
  }

  /** What could end without the lost sites has; with them everything must. */
  private settled(living: ReadonlySet<SiteName>, whole: boolean): void {
    const { world } = this;
    checkLeftovers(world, living);
    if (whole) {
      checkRequests(world);
      this.over = true;
      return;
    }
    this.looks = 0;
    for (const site of world.sites) revive(world, site);
    this.deadlineMs = world.nowMs + this.limits.endMs;
    this.lookLater();
  }

  private describe(open: readonly Transaction[], whole: boolean): string {
    const who = open.map(({ system }) => `${system.protocol} ${system.txid}`).join(', ');
    if (who === '') return isBusy(this.world) ? 'all has ended, and messages or timers go on' : 'a client is left waiting';
    return `${who} has not ended${whole ? '' : ' at the sites that live'} ${Math.round(this.limits.endMs / 1000)} s after the last fault`;
  }

  // ---------------------------------------------------------------- the end

  private checkEnd(): void {
    const { world } = this;
    checkConservation(world);
    const scarce = world.sites.some(({ firstStock }) => firstStock < world.transactions.length);
    if (!this.disturbed && !scarce && Object.values(world.counts).every((count) => count === 0)) checkExpected(world);
  }
}

/** Messages, timers or writes are to come: more than the ends of faults that are over already. */
function isBusy({ queue }: World): boolean {
  return queue.some(({ kind, cancelled }) => !cancelled && (kind === DELIVER || kind === TIMER || kind === FLUSH));
}

function calm({ latencyMs, flushMs }: FaultOdds): FaultOdds {
  return { ...NO_FAULTS, latencyMs, flushMs };
}

function textOf(error: unknown): string {
  if (error instanceof Violation) return error.message;
  const { name, message } = error as Error;
  // A store that finds a contradiction names the property itself.
  return /^[A-Z0-9]+: /.test(message) ? message : `UNEXPECTED: ${name}: ${message}`;
}
