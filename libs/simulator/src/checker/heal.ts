/**
 * The end of everything: from some world on nothing fails any more, and all must end. The continuation is fair and always the same:
 * whoever is down comes back, every message arrives, then one timer after the other fires, each with time to settle. That it ends shows
 * that the world is no dead end, not that every continuation ends (nor could it: two leaders may overtake each other for ever).
 */
import type { OutcomeStatus } from '#libs/protocol';
import type { View } from '../system.js';
import { TOLD } from './machines.js';
import { Deed, type Transitions } from './transitions.js';
import { Visited } from './visited.js';
import { isDown, ONE_TIME, setDown, timeOf, toldIn } from './world.js';

/** Turns of all timers, and deliveries between two firings. */
const MOST_TURNS = 40;
const MOST_DELIVERIES = 4000;
/** Remembered worlds; then the memory of them starts afresh. */
const MOST_REMEMBERED = 4_000_000;

type Told = (deed: Deed) => void;

export interface Healing {
  /** False: what is in flight is lost first. */
  readonly keepsMessages: boolean;
  /** True: the coordinator's processes never come back. */
  readonly losesCoordinator: boolean;
}

export class Healer {
  /** Continuations that were run to their end. */
  runs = 0;
  private readonly world: Int32Array;
  private readonly queue: number[] = [];
  private readonly sites: ReadonlySet<string>;
  private readonly withoutCoordinator: ReadonlySet<string>;
  private readonly deed = new Deed();
  /** Worlds with nothing in flight that are known to end. */
  private good = new Visited();
  /** Such worlds on the way of this run, one after the other. */
  private readonly way: number[] = [];
  /** Actors whose stores have something to tell them. */
  private readonly awaited: number[] = [];
  private readonly processOf = new Map<number, number>();
  private losesCoordinator = false;
  private told: Told | null = null;
  private error: string | null = null;

  constructor(private readonly transitions: Transitions) {
    this.world = new Int32Array(transitions.layout.head);
    this.sites = new Set(transitions.system.roles.map(({ site }) => site));
    this.withoutCoordinator = new Set([...this.sites].filter((site) => site !== 'coordinator'));
    for (const [process, { actors }] of transitions.layout.processes.entries()) for (const actor of actors) this.processOf.set(actor, process);
  }

  /**
   * @param told is given every deed of the way, for transcripts
   * @returns a violation, or null when all ends well
   */
  heal(world: Int32Array, length: number, { keepsMessages, losesCoordinator }: Healing, told: Told | null = null): string | null {
    const { head } = this.transitions.layout;
    for (let i = 0; i < head; i++) this.world[i] = world[i]!;
    this.world[1] = this.world[2] = this.world[3] = 0;
    this.queue.length = 0;
    this.way.length = 0;
    if (keepsMessages) for (let i = head; i < length; i++) this.queue.push(world[i]!);
    this.losesCoordinator = losesCoordinator;
    this.told = told;
    this.error = null;
    this.runs += 1;
    const found = this.untilEnded();
    if (found === null) this.remember();
    return found;
  }

  private untilEnded(): string | null {
    this.world[0] = this.world[0]! + ONE_TIME * (this.transitions.bounds.times.length - timeOf(this.world));
    this.comeBack();
    this.settle();
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      if (this.error !== null) return this.error;
      if (this.isKnown()) return null;
      if (this.hasEnded()) {
        const found = this.leftover();
        // Those who miss the coordinator may go on asking for it.
        if (found !== null || this.losesCoordinator || !this.hasTimers()) return found;
      }
      this.fireEach();
    }
    return this.error ?? (this.hasEnded() ? 'AC5: all has ended, and timers go on' : 'AC5: all is healed, and it never ends');
  }

  private hasTimers(): boolean {
    const { layout: { processes }, machines } = this.transitions;
    return processes.some(({ actors }) => actors.some((actor) => machines.locals[this.world[actor]!]!.timers.length > 0));
  }

  private comeBack(): void {
    const { transitions } = this;
    this.awaited.length = 0;
    for (const process of transitions.layout.processes.keys()) {
      const { tenure } = transitions.layout.processes[process]!;
      const gone = tenure > 0 && this.losesCoordinator;
      if (gone || !transitions.owns(this.world, process)) transitions.forget(this.world, process);
      if (gone) setDown(this.world, process, true);
      else if (isDown(this.world, process) && transitions.owns(this.world, process)) {
        transitions.boot(this.world, process);
        this.tell('restart', process, 0, 0, 0);
      }
      for (const actor of transitions.layout.processes[process]!.actors) this.expectFeedback(actor);
    }
  }

  private fireEach(): void {
    const { layout: { processes }, machines } = this.transitions;
    for (const [process, { actors }] of processes.entries()) {
      for (const actor of actors) {
        for (const { name } of machines.locals[this.world[actor]!]!.timers) this.fire(process, actor, name);
      }
    }
  }

  private fire(process: number, actor: number, name: string): void {
    const { machines } = this.transitions;
    const local = this.world[actor]!;
    const { timers } = machines.locals[local]!;
    const index = timers.findIndex((timer) => timer.name === name);
    if (index < 0 || this.error !== null) return;
    this.world[actor] = machines.withoutTimer(local, index);
    this.step('timer', process, actor, timers[index]!.input);
    this.settle();
  }

  /** Until nothing is in flight, and no instance has anything to hear from its store. */
  private settle(): void {
    for (let count = 0; count < MOST_DELIVERIES && this.error === null; count++) {
      if (this.hearStore()) continue;
      const message = this.queue.shift();
      if (message === undefined) return;
      this.deliver(message);
    }
    this.error ??= 'AC5: all is healed, and messages lead to messages for ever';
  }

  private hearStore(): boolean {
    const actor = this.awaited.shift();
    if (actor === undefined) return false;
    const { machines } = this.transitions;
    const { pending } = machines.locals[this.world[actor]!]!;
    if (pending.length === 0) return true;
    this.world[actor] = machines.withoutPending(this.world[actor]!);
    this.step('feedback', this.processOf.get(actor)!, actor, pending[0]!);
    return true;
  }

  private deliver(message: number): void {
    const { role, input } = this.transitions.machines.flights[message]!;
    const host = this.transitions.layout.hosts[role]!.find(({ process }) => this.transitions.owns(this.world, process) && !isDown(this.world, process));
    if (host === undefined) return;
    this.deed.message = message;
    this.step('deliver', host.process, host.actor, input);
  }

  private step(kind: Deed['kind'], process: number, actor: number, input: number): void {
    const before = this.world[actor]!;
    const effect = this.transitions.effectAt(this.world, process, actor, input);
    this.deed.effect = effect;
    this.deed.sends = effect.messages.length;
    this.tell(kind, process, actor, input, before);
    if (effect.error !== null) this.error = effect.error;
    this.transitions.takeEffect(this.world, actor, effect);
    for (const message of effect.messages) this.queue.push(message);
    this.expectFeedback(actor);
  }

  private expectFeedback(actor: number): void {
    const waiting = this.transitions.machines.locals[this.world[actor]!]!.pending.length;
    for (let i = 0; i < waiting; i++) this.awaited.push(actor);
  }

  private tell(kind: Deed['kind'], process: number, actor: number, input: number, before: number): void {
    if (this.told === null) return;
    this.told(Object.assign(this.deed, { kind, process, actor, input, before }));
  }

  private hasEnded(): boolean {
    return this.error === null && this.transitions.system.ended(this.view(), this.sitesLeft());
  }

  private leftover(): string | null {
    const view = this.view();
    return this.transitions.system.violation(view) ?? this.transitions.system.leftover(view, this.sitesLeft());
  }

  private sitesLeft(): ReadonlySet<string> {
    return this.losesCoordinator ? this.withoutCoordinator : this.sites;
  }

  private view(): View {
    return viewOf(this.transitions, this.world);
  }

  private isKnown(): boolean {
    if (this.told !== null) return false;
    if (this.good.has(this.world, this.world.length)) return true;
    for (const word of this.world) this.way.push(word);
    return false;
  }

  private remember(): void {
    const { length } = this.world;
    for (let at = 0; at < this.way.length; at += length) {
      for (let i = 0; i < length; i++) this.world[i] = this.way[at + i]!;
      this.good.add(this.world, length, 0, 0);
    }
    if (this.good.size >= MOST_REMEMBERED) this.good = new Visited();
  }
}

const ANSWERS: readonly (readonly OutcomeStatus[])[] = [[], ['committed'], ['aborted'], ['committed', 'aborted']];

/** What the properties are asked about. */
export function viewOf({ layout, machines, system }: Transitions, world: Int32Array): View {
  return { durables: system.roles.map((_, role) => machines.durable(world[layout.durables + role]!)), answers: ANSWERS[toldIn(world)]! };
}

export function answersIn(world: Int32Array): readonly OutcomeStatus[] {
  return ANSWERS[toldIn(world)]!;
}

export function hasTold(world: Int32Array, outcome: OutcomeStatus): boolean {
  return toldIn(world) === TOLD[outcome];
}
