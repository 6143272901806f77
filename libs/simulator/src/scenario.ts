/**
 * Plays a scenario on a System: a text file of commands (`> ...`), each followed by what the machines answered, indented. Blank lines
 * and lines that start with `#` are for people. Only messages that a machine has sent can be delivered, so a scenario cannot show what
 * could not happen. After the interaction transcripts of etcd-io/raft (testdata/*.txt).
 *
 *   > system votes=yes,yes,no [key=value ...]     first command: what the caller's factory builds the System from
 *   > start                                      the client's request
 *   > deliver VOTE coordinator                   the latest VOTE that was sent to that role arrives (again, if it arrived before)
 *   > deliver VOTE coordinator from participant 1
 *   > deliver all                                everything that is in flight arrives, oldest first, and what it leads to, to the end
 *   > deliver all to participant 0               only what is in flight to that role now
 *   > drop VOTE coordinator [from participant 1] the latest such message is lost
 *   > timer participant 0 inquire                time passes until the timer fires
 *   > command CANCEL                             a client or operator command of the System
 *   > crash p0                                   the process of a site loses its memory; rows stay
 *   > restart p0                                 it starts again from its rows
 *   > take over                                  another coordinator process gets the shard; the old one is gone
 *   > take over beside                           the old one lives on and does not know: it is `coordinator#1` from now on
 *   > crash p0 after deliver PREPARE participant 0     the rows are written, nothing is sent
 *   > crash p0 before deliver PREPARE participant 0    the step happens in memory only
 */
import type { OutcomeStatus, TimerChange } from '#libs/protocol';
import { recordText, type Message, type Role, type RoleName, type RoleStep, type System } from './system.js';

export type Options = Readonly<Record<string, string>>;
export type Factory = (options: Options) => System;

interface Instance {
  readonly name: string;
  readonly role: Role;
  readonly tenure: number;
  state: unknown;
  alive: boolean;
  readonly timers: Map<string, { readonly atMs: number; readonly attempt: number }>;
}

interface InFlight {
  readonly from: string;
  readonly to: RoleName;
  readonly message: Message;
  arrived: boolean;
}

type CrashPoint = 'before' | 'after' | null;

const STOCK = 100;
const MOST_DELIVERIES = 500;

/** The text of the scenario as it should be: its commands and comments, with the answers that the machines give. */
export function play(text: string, factory: Factory): string {
  const world = new World(factory);
  const lines = text.split('\n').filter((line) => !line.startsWith('  '));
  return lines.flatMap((line) => (line.startsWith('> ') ? [line, ...world.command(line.slice(2).trim()).map((answer) => `  ${answer}`)] : [line])).join('\n');
}

class World {
  private system!: System;
  private nowMs = 0;
  private tenure = 1;
  private readonly instances: Instance[] = [];
  private durables: unknown[] = [];
  private readonly answers: OutcomeStatus[] = [];
  private readonly sent: InFlight[] = [];
  private readonly stock = new Map<string, number>();
  private out: string[] = [];

  constructor(private readonly factory: Factory) {}

  command(line: string): string[] {
    this.out = [];
    const crash = /^crash (\S+)(?: (before|after) (deliver .*))?$/.exec(line);
    if (crash) this.crash(crash[1]!, (crash[2] as CrashPoint) ?? null, crash[3] ?? null);
    else if (line.startsWith('system')) this.build(line.split(/\s+/).slice(1));
    else if (line === 'start') this.step(this.instance(this.system.start.role), this.system.start.input);
    else if (line === 'deliver all') this.deliverAll();
    else if (line.startsWith('deliver all to ')) this.deliverAllTo(line.slice('deliver all to '.length));
    else if (line.startsWith('deliver ')) this.deliver(this.find(line.slice('deliver '.length)), null);
    else if (line.startsWith('drop ')) this.find(line.slice('drop '.length)).arrived = true;
    else if (line.startsWith('timer ')) this.fire(line.slice('timer '.length));
    else if (line.startsWith('command ')) this.order(line.slice('command '.length));
    else if (line.startsWith('restart ')) this.restart(line.slice('restart '.length));
    else if (line === 'take over' || line === 'take over beside') this.takeOver(line.endsWith('beside'));
    else throw new Error(`no such command: ${line}`);
    const violation = this.system.violation({ durables: this.durables, answers: this.answers });
    return violation === null ? this.out : [...this.out, `VIOLATION ${violation}`];
  }

  // -------------------------------------------------------------- building and finding

  private build(words: readonly string[]): void {
    this.system = this.factory(Object.fromEntries(words.map((word) => word.split('=', 2) as [string, string])));
    this.durables = this.system.roles.map(() => null);
    for (const role of this.system.roles) {
      this.stock.set(role.site, STOCK);
      this.instances.push({ name: role.name, role, tenure: 1, state: role.boot(null).state, alive: true, timers: new Map() });
    }
  }

  private instance(name: string): Instance {
    const found = this.instances.findLast((each) => each.name === name && each.alive) ?? this.instances.findLast((each) => each.name === name);
    if (!found) throw new Error(`no role ${name}: there are ${this.instances.map((each) => each.name).join(', ')}`);
    return found;
  }

  /** `VOTE coordinator [from participant 1]`, or `VOTE coordinator#1` for the owner that was replaced. */
  private find(words: string): InFlight & { readonly receiver: string } {
    const [, kind, receiver, from] = /^(\S+) (.+?)(?: from (.+))?$/.exec(words) ?? [];
    const to = receiver?.replace(/#\d+$/, '');
    const found = this.sent.findLast(({ message, to: role, from: sender }) => message.kind === kind && role === to && (from === undefined || sender === from));
    if (!found) throw new Error(`no ${kind} was sent to ${receiver}${from === undefined ? '' : ` from ${from}`}`);
    return Object.assign(found, { receiver: receiver! });
  }

  // -------------------------------------------------------------- messages

  private deliver(envelope: InFlight & { readonly receiver?: string }, crash: CrashPoint): void {
    envelope.arrived = true;
    const to = this.instance(envelope.receiver ?? envelope.to);
    if (!to.alive) {
      this.out.push(`${to.name} is down`);
      return;
    }
    this.step(to, { kind: 'MESSAGE', message: envelope.message }, crash);
  }

  private deliverAll(): void {
    for (let i = 0; i < MOST_DELIVERIES; i++) {
      const next = this.sent.find(({ arrived }) => !arrived);
      if (!next) return;
      this.announce(next);
      this.deliver(next, null);
    }
    throw new Error(`not at an end after ${MOST_DELIVERIES} deliveries`);
  }

  private deliverAllTo(role: RoleName): void {
    for (const each of this.sent.filter(({ arrived, to }) => !arrived && to === role)) {
      this.announce(each);
      this.deliver(each, null);
    }
  }

  private announce({ from, to, message }: InFlight): void {
    this.out.push(`-- ${this.system.describe(message)}: ${from} -> ${to}`);
  }

  // -------------------------------------------------------------- steps

  private step(at: Instance, input: unknown, crash: CrashPoint = null): void {
    const before = at.role.label(at.state);
    const available = this.stock.get(at.role.site)!;
    let result: RoleStep<unknown, unknown>;
    try {
      result = at.role.step(at.state, input, { nowMs: this.nowMs, tenure: at.tenure, available });
    } catch (error) {
      this.out.push(`refused: ${(error as Error).message}`);
      return;
    }
    at.state = result.state;
    const after = at.role.label(at.state);
    this.out.push(before === after ? `${at.name}: ${after}` : `${at.name}: ${before} -> ${after}`);
    if (crash === 'before') return;
    const feedback = this.write(at, result);
    if (feedback === null || crash === 'after') return;
    this.send(at, result);
    for (const each of feedback) this.step(at, each);
  }

  /** @returns what the store tells the instance, or null when it refused */
  private write(at: Instance, { records, stock }: RoleStep<unknown, unknown>): readonly unknown[] | null {
    const index = this.system.roles.indexOf(at.role);
    const feedback: unknown[] = [];
    let durable = this.durables[index];
    for (const record of records) {
      const written = at.role.write(durable, record, at.tenure !== this.tenure && at.role.site === 'coordinator');
      if (written === 'refused') {
        this.out.push(`refused by the store: ${recordText(at.role, record)}`);
        this.forget(at);
        return null;
      }
      this.out.push(`store ${recordText(at.role, record)}`);
      durable = written.durable;
      if (written.input !== undefined) feedback.push(written.input);
    }
    this.durables[index] = durable;
    this.stock.set(at.role.site, this.stock.get(at.role.site)! + (stock ?? 0));
    return feedback;
  }

  private send(at: Instance, { messages, timers, state }: RoleStep<unknown, unknown>): void {
    for (const { to, message } of messages) {
      this.sent.push({ from: at.name, to, message, arrived: false });
      this.out.push(`send ${this.system.describe(message)} -> ${to}`);
    }
    for (const change of timers) this.setTimer(at, change);
    const answer = at.role.answer?.(state) ?? null;
    if (answer !== null && !this.answers.includes(answer)) {
      this.answers.push(answer);
      this.out.push(`answer ${answer}`);
    }
  }

  private setTimer(at: Instance, change: TimerChange<string>): void {
    if ('cancel' in change) {
      at.timers.delete(change.cancel);
      this.out.push(`cancel ${change.cancel}`);
      return;
    }
    at.timers.set(change.set, change);
    this.out.push(`set ${change.set} in ${change.atMs - this.nowMs} ms${change.attempt > 0 ? ` (attempt ${change.attempt})` : ''}`);
  }

  private fire(words: string): void {
    const [, name, timer] = /^(.+) (\S+)$/.exec(words) ?? [];
    const at = this.instance(name!);
    const armed = at.timers.get(timer!);
    if (!armed) throw new Error(`timer ${timer} of ${name} is not set; set: ${[...at.timers.keys()].join(', ') || 'none'}`);
    at.timers.delete(timer!);
    this.nowMs = Math.max(this.nowMs, armed.atMs);
    this.out.push(`${this.nowMs} ms after the start`);
    this.step(at, { kind: 'TIMER', timer, attempt: armed.attempt });
  }

  private order(kind: string): void {
    const input = this.system.commands.find((each) => (each as { readonly kind: string }).kind === kind);
    if (input === undefined) throw new Error(`no command ${kind}: there are ${this.system.commands.map((each) => (each as { readonly kind: string }).kind).join(', ')}`);
    this.step(this.instance(this.system.start.role), input);
  }

  // -------------------------------------------------------------- processes

  private crash(site: string, point: CrashPoint, delivery: string | null): void {
    if (delivery !== null) this.deliver(this.find(delivery.slice('deliver '.length)), point);
    const lost = this.instances.filter(({ role, name, alive }) => alive && (role.site === site || name === site) && !name.includes('#'));
    if (lost.length === 0) throw new Error(`no process ${site} is up`);
    for (const each of lost) {
      this.forget(each);
      each.alive = false;
    }
    this.out.push(`${site}: down`);
  }

  private forget(at: Instance): void {
    at.state = null;
    at.timers.clear();
  }

  private restart(site: string): void {
    for (const each of this.instances.filter(({ role, alive }) => !alive && role.site === site)) this.boot(each);
  }

  private boot(at: Instance): void {
    at.alive = true;
    const { state, input } = at.role.boot(this.durables[this.system.roles.indexOf(at.role)] ?? null);
    at.state = state;
    if (input !== null) this.step(at, input);
    else this.out.push(`${at.name}: ${at.role.label(state)}`);
  }

  private takeOver(beside: boolean): void {
    const before = this.tenure;
    this.tenure += 1;
    for (const old of this.instances.filter(({ role, name }) => role.site === 'coordinator' && !name.includes('#'))) {
      this.instances.splice(this.instances.indexOf(old), 1);
      if (beside) this.instances.push({ ...old, name: `${old.name}#${before}` });
      const owner: Instance = { name: old.name, role: old.role, tenure: this.tenure, state: null, alive: true, timers: new Map() };
      this.instances.push(owner);
      this.boot(owner);
    }
  }
}
