/**
 * Everything that can happen next in a world, one call of `visit` for each. What a step computes, its write and its sends are one
 * transition (apart from the crashes in between): nobody else can see a process's memory, so when it computed makes no difference.
 */
import type { System } from '../system.js';
import type { Bounds } from './bounds.js';
import { Machines, type Effect } from './machines.js';
import {
  countFiring, firingsOf, isDown, layoutOf, MOST_TIMER_NAMES, ONE_TIME, ONE_TOLD, setDown, tenureOf, timeOf, toldIn, use, USED, usedOf, type Layout,
} from './world.js';

export type Happening = 'start' | 'deliver' | 'feedback' | 'timer' | 'command' | 'lose' | 'crash' | 'restart' | 'take-over' | 'time passes';
/** Where a crash cuts a step short. */
export type CutShort = 'not' | 'before the write' | 'after the write';

/** What a transition was. The search overwrites one and the same with each. */
export class Deed {
  kind: Happening = 'start';
  process = 0;
  actor = 0;
  input = 0;
  message = 0;
  /** Memory before and after. */
  before = 0;
  effect: Effect | null = null;
  cutShort: CutShort = 'not';
  /** How many of the step's messages left. */
  sends = 0;
  /** A copy of the delivered message stays in flight. */
  stays = false;
}

/** When everything is healed all deadlines are over: an hour after the last of the times. */
const HEALED_AFTER_MS = 3_600_000;
/** More words than any world of a bounded system has; one that has more is an error. */
export const MOST_WORDS = 4096;

export class Transitions {
  readonly layout: Layout;
  readonly machines: Machines;
  readonly deed = new Deed();
  /** The world after the transition. */
  readonly next = new Int32Array(MOST_WORDS);
  length = 0;
  /** Transitions of the last expansion that are no faults, no timers and no commands: what happens by itself. */
  byItself = 0;
  private from: Int32Array = new Int32Array(0);
  private fromLength = 0;
  private visit: () => void = () => {};
  /** Bits of processes that hear their store before they take anything else. */
  private hearing = 0;
  private readonly commandInputs: readonly number[];
  private readonly startInput: number;
  private readonly startRole: number;
  private readonly keepsMessages: boolean;
  private readonly mostDuplicates: number;

  constructor(readonly system: System, readonly bounds: Bounds) {
    this.layout = layoutOf(system, bounds);
    this.machines = new Machines(system, bounds, [...bounds.times, bounds.times.at(-1)! + HEALED_AFTER_MS]);
    this.startRole = this.machines.roleNamed(system.start.role);
    this.startInput = this.machines.inputs.idOf(system.start.input);
    this.commandInputs = system.commands.map((command) => this.machines.inputs.idOf(command));
    this.keepsMessages = bounds.duplicates === 'unlimited';
    this.mostDuplicates = bounds.duplicates === 'unlimited' ? 0 : bounds.duplicates;
  }

  /** Nothing has happened. @returns its length */
  first(into: Int32Array): number {
    const { layout: { processes, durables, head }, machines } = this;
    into.fill(0, 0, head);
    into[0] = 1;
    for (const { roles, actors } of processes) for (const [i, role] of roles.entries()) into[actors[i]!] = machines.empty[role]!;
    for (const [role, none] of machines.noRows.entries()) into[durables + role] = none;
    return head;
  }

  expand(world: Int32Array, length: number, visit: () => void): void {
    const { bounds } = this;
    this.from = world;
    this.fromLength = length;
    this.visit = visit;
    this.byItself = 0;
    this.hearing = bounds.feedback === 'at once' ? this.hearingProcesses() : 0;
    // Steps do not commute with the passing of time.
    if (this.hearing !== 0 && timeOf(world) + 1 >= bounds.times.length && this.hearsAtOnce()) return;
    this.starts();
    this.deliveries();
    this.feedback();
    this.firings();
    this.commands();
    this.losses();
    this.crashes();
    this.restarts();
    this.takeOvers();
    this.timePasses();
  }

  isThere(world: Int32Array, process: number): boolean {
    return this.layout.processes[process]!.tenure <= tenureOf(world) && !isDown(world, process);
  }

  // ---------------------------------------------------------------- what happens by itself

  /** The client asks a coordinator that has nothing of this transaction in memory; the others know it already and repeat their answer. */
  private starts(): void {
    if (usedOf(this.from, USED.starts) >= this.bounds.starts) return;
    for (const { process, actor } of this.layout.hosts[this.startRole]!) {
      if (this.from[actor] !== this.machines.empty[this.startRole] || !this.takesInput(process)) continue;
      this.steps('start', process, actor, this.startInput, () => use(this.next, USED.starts));
    }
  }

  private deliveries(): void {
    for (let i = this.layout.head; i < this.fromLength; i++) {
      const message = this.from[i]!;
      if (i > this.layout.head && message === this.from[i - 1]) continue;
      const { role, input } = this.machines.flights[message]!;
      for (const { process, actor } of this.layout.hosts[role]!) {
        if (this.takesInput(process)) this.delivery(process, actor, input, message, i);
      }
    }
  }

  private delivery(process: number, actor: number, input: number, message: number, at: number): void {
    const effect = this.effectAt(this.from, process, actor, input);
    if (this.isIdle(actor, effect)) return;
    this.deed.message = message;
    this.deed.stays = this.keepsMessages;
    this.steps('deliver', process, actor, input, this.keepsMessages ? NOTHING : () => this.remove(at));
    if (usedOf(this.from, USED.duplicates) >= this.mostDuplicates) return;
    this.deed.stays = true;
    this.steps('deliver', process, actor, input, () => use(this.next, USED.duplicates));
  }

  /** Nothing would change but that the message is gone, and a message in flight need never arrive: not worth a state. */
  private isIdle(actor: number, { error, local, durable, messages, told, read }: Effect): boolean {
    const role = this.machines.locals[local]!.role;
    return error === null && local === this.from[actor] && durable === this.from[this.layout.durables + role] && messages.length === 0
      && ((told | read) & ~toldIn(this.from)) === 0;
  }

  private takesInput(process: number): boolean {
    return this.isThere(this.from, process) && (this.hearing & (1 << process)) === 0;
  }

  private hearingProcesses(): number {
    const { processes } = this.layout;
    let bits = 0;
    for (let process = 0; process < processes.length; process++) {
      for (const actor of processes[process]!.actors) if (this.machines.locals[this.from[actor]!]!.pending.length > 0) bits |= 1 << process;
    }
    return bits;
  }

  /** A step that writes nothing commutes with all that others do: where one is due, nothing else needs to be tried first. */
  private hearsAtOnce(): boolean {
    const { processes } = this.layout;
    for (let process = 0; process < processes.length; process++) {
      if ((this.hearing & (1 << process)) === 0) continue;
      for (const actor of processes[process]!.actors) {
        const { pending } = this.machines.locals[this.from[actor]!]!;
        if (pending.length === 0) continue;
        const without = this.machines.withoutPending(this.from[actor]!);
        this.copy();
        this.setLocal(actor, without);
        if (this.effectAt(this.next, process, actor, pending[0]!).records.length > 0) break;
        this.steps('feedback', process, actor, pending[0]!, () => this.setLocal(actor, without));
        return true;
      }
    }
    return false;
  }

  /** What the store told the instance about its writes. */
  private feedback(): void {
    const { processes } = this.layout;
    for (let process = 0; process < processes.length; process++) {
      if (!this.isThere(this.from, process)) continue;
      for (const actor of processes[process]!.actors) {
        const { pending } = this.machines.locals[this.from[actor]!]!;
        if (pending.length > 0) this.steps('feedback', process, actor, pending[0]!, () => this.setLocal(actor, this.machines.withoutPending(this.from[actor]!)));
      }
    }
  }

  // ---------------------------------------------------------------- what is bounded

  private firings(): void {
    const { processes } = this.layout;
    for (let process = 0; process < processes.length; process++) {
      if (!this.takesInput(process)) continue;
      for (const actor of processes[process]!.actors) this.firingsAt(process, actor);
    }
  }

  private firingsAt(process: number, actor: number): void {
    const local = this.from[actor]!;
    const { timers } = this.machines.locals[local]!;
    for (let i = 0; i < timers.length; i++) {
      const { counter, input } = timers[i]!;
      if (counter >= MOST_TIMER_NAMES) throw new Error(`${this.system.protocol} has more named timers than the checker can count`);
      if (firingsOf(this.from, counter) >= this.machines.mostFirings[counter]!) continue;
      this.steps('timer', process, actor, input, () => {
        countFiring(this.next, counter);
        this.setLocal(actor, this.machines.withoutTimer(local, i));
      });
    }
  }

  private commands(): void {
    if (usedOf(this.from, USED.commands) >= this.bounds.commands) return;
    for (const { process, actor } of this.layout.hosts[this.startRole]!) {
      if (this.from[actor] === this.machines.empty[this.startRole] || !this.takesInput(process)) continue;
      for (const input of this.commandInputs) this.steps('command', process, actor, input, () => use(this.next, USED.commands));
    }
  }

  private losses(): void {
    if (usedOf(this.from, USED.losses) >= this.bounds.losses) return;
    for (let i = this.layout.head; i < this.fromLength; i++) {
      if (i > this.layout.head && this.from[i] === this.from[i - 1]) continue;
      this.begin('lose', 0);
      this.deed.message = this.from[i]!;
      this.remove(i);
      use(this.next, USED.losses);
      this.visit();
    }
  }

  private crashes(): void {
    if (usedOf(this.from, USED.crashes) >= this.bounds.crashes) return;
    const { processes } = this.layout;
    for (let process = 0; process < processes.length; process++) {
      if (!this.isThere(this.from, process) || this.hasNothing(process)) continue;
      this.begin('crash', process);
      this.crash(process);
      this.visit();
    }
  }

  /** A coordinator that has lost the shard has nothing to come back for. */
  private restarts(): void {
    const { processes } = this.layout;
    for (let process = 0; process < processes.length; process++) {
      if (!isDown(this.from, process) || !this.owns(this.from, process)) continue;
      this.begin('restart', process);
      this.boot(this.next, process);
      this.visit();
    }
  }

  private takeOvers(): void {
    const tenure = tenureOf(this.from);
    if (tenure > this.bounds.takeOvers) return;
    const process = this.layout.processes.findIndex((each) => each.tenure === tenure + 1);
    if (process < 0) return;
    this.begin('take-over', process);
    this.next[0]! += 1;
    this.boot(this.next, process);
    this.visit();
  }

  private timePasses(): void {
    if (timeOf(this.from) + 1 >= this.bounds.times.length) return;
    this.begin('time passes', 0);
    this.next[0]! += ONE_TIME;
    this.visit();
  }

  // ---------------------------------------------------------------- steps

  /** The step of one instance, and the crashes that cut it short. `before` changes `next` in every one of them. */
  private steps(kind: Happening, process: number, actor: number, input: number, before: () => void): void {
    this.copy();
    before();
    const effect = this.effectAt(this.next, process, actor, input);
    this.note(kind, process, actor, input, effect, 'not', effect.messages.length);
    this.takeEffect(this.next, actor, effect);
    for (const message of effect.messages) this.insert(message);
    if (kind === 'start' || kind === 'deliver' || kind === 'feedback') this.byItself += 1;
    this.visit();
    if (effect.error !== null || effect.refused || this.bounds.crashPoints === 'idle' || usedOf(this.from, USED.crashes) >= this.bounds.crashes) return;
    this.cutBeforeWrite(kind, process, actor, input, effect, before);
    for (let sends = 0; sends < effect.messages.length; sends++) this.cutAfterWrite(kind, process, actor, input, effect, before, sends);
  }

  private cutBeforeWrite(kind: Happening, process: number, actor: number, input: number, effect: Effect, before: () => void): void {
    this.copy();
    before();
    this.note(kind, process, actor, input, effect, 'before the write', 0);
    this.crash(process);
    this.visit();
  }

  private cutAfterWrite(kind: Happening, process: number, actor: number, input: number, effect: Effect, before: () => void, sends: number): void {
    this.copy();
    before();
    this.note(kind, process, actor, input, effect, 'after the write', sends);
    this.takeEffect(this.next, actor, effect);
    for (let i = 0; i < sends; i++) this.insert(effect.messages[i]!);
    this.crash(process);
    this.visit();
  }

  effectAt(world: Int32Array, process: number, actor: number, input: number): Effect {
    const { tenure } = this.layout.processes[process]!;
    const local = world[actor]!;
    const durable = world[this.layout.durables + this.machines.locals[local]!.role]!;
    return this.machines.effectOf(local, input, durable, Math.max(tenure, 1), timeOf(world), !this.owns(world, process));
  }

  /** All but the messages. */
  takeEffect(world: Int32Array, actor: number, effect: Effect): void {
    if (effect.error !== null) return;
    world[actor] = effect.local;
    if (effect.refused) return;
    const { role } = this.machines.locals[effect.local]!;
    world[this.layout.durables + role] = effect.durable;
    world[0] = world[0]! | ((effect.told | effect.read) * ONE_TOLD);
  }

  boot(world: Int32Array, process: number): void {
    const { roles, actors } = this.layout.processes[process]!;
    setDown(world, process, false);
    for (let i = 0; i < roles.length; i++) world[actors[i]!] = this.machines.bootOf(roles[i]!, world[this.layout.durables + roles[i]!]!);
  }

  owns(world: Int32Array, process: number): boolean {
    const { tenure } = this.layout.processes[process]!;
    return tenure === 0 || tenure === tenureOf(world);
  }

  forget(world: Int32Array, process: number): void {
    const { roles, actors } = this.layout.processes[process]!;
    for (let i = 0; i < roles.length; i++) world[actors[i]!] = this.machines.empty[roles[i]!]!;
  }

  private hasNothing(process: number): boolean {
    const { roles, actors } = this.layout.processes[process]!;
    return actors.every((actor, i) => this.from[actor] === this.machines.empty[roles[i]!]);
  }

  private crash(process: number): void {
    this.forget(this.next, process);
    setDown(this.next, process, true);
    use(this.next, USED.crashes);
  }

  // ---------------------------------------------------------------- the next world

  private begin(kind: Happening, process: number): void {
    this.copy();
    this.note(kind, process, 0, 0, null, 'not', 0);
  }

  private note(kind: Happening, process: number, actor: number, input: number, effect: Effect | null, cutShort: CutShort, sends: number): void {
    const { deed } = this;
    deed.kind = kind;
    deed.process = process;
    deed.actor = actor;
    deed.input = input;
    deed.before = this.from[actor]!;
    deed.effect = effect;
    deed.cutShort = cutShort;
    deed.sends = sends;
  }

  private copy(): void {
    const { from, next, fromLength } = this;
    for (let i = 0; i < fromLength; i++) next[i] = from[i]!;
    this.length = fromLength;
  }

  private setLocal(actor: number, local: number): void {
    this.next[actor] = local;
  }

  private remove(at: number): void {
    const { next } = this;
    this.length -= 1;
    for (let i = at; i < this.length; i++) next[i] = next[i + 1]!;
  }

  /** Where every message may come again, one copy says it all. */
  private insert(message: number): void {
    const { next, layout: { head } } = this;
    let at = this.length;
    while (at > head && next[at - 1]! > message) at -= 1;
    if (this.keepsMessages && at > head && next[at - 1] === message) return;
    if (this.length === MOST_WORDS) throw new Error(`more than ${MOST_WORDS - head} messages of ${this.system.protocol} are in flight`);
    for (let i = this.length; i > at; i--) next[i] = next[i - 1]!;
    next[at] = message;
    this.length += 1;
  }
}

const NOTHING = (): void => {};
