/** The way to one world as trace events, one unit of time for each transition. */
import type { Healing } from './heal.js';
import type { CommonInput } from '../system.js';
import { recordText } from '../system.js';
import type { ProcessName, TraceEvent } from '../trace.js';
import type { Deed, Transitions } from './transitions.js';
import { timeOf, type Process } from './world.js';

/** Without its time. */
type Untimed = TraceEvent extends infer Each ? (Each extends TraceEvent ? Omit<Each, 'atMs'> : never) : never;

export class Replay {
  readonly events: TraceEvent[] = [];
  private world: Int32Array;
  private atMs = 0;
  private nextSend = 1;
  /** By message id: the copies in flight, oldest first. */
  private readonly copies = new Map<number, number[]>();
  private told = 0;

  constructor(private readonly transitions: Transitions) {
    const first = new Int32Array(transitions.next.length);
    this.world = first.slice(0, transitions.first(first));
  }

  /** Takes the given one of the world's transitions. It must not be called while the transitions are being expanded for somebody else's `visit`. */
  follow(ordinal: number): void {
    let at = 0;
    let after: Int32Array | null = null;
    this.transitions.expand(this.world, this.world.length, () => {
      if (at++ !== ordinal) return;
      after = this.transitions.next.slice(0, this.transitions.length);
      this.note(this.transitions.deed);
    });
    if (after === null) throw new Error(`no transition ${ordinal} in a world that has ${at}`);
    this.world = after;
  }

  heal({ keepsMessages, losesCoordinator }: Healing): void {
    this.atMs += 1;
    if (losesCoordinator) for (const { name, tenure } of this.living()) if (tenure > 0) this.add({ kind: 'crash', process: name, when: '', forGood: true });
    if (!keepsMessages) for (const id of [...this.copies.values()].flat()) this.add({ kind: 'lose', id, why: 'loss' });
    this.add({ kind: 'heal' });
  }

  note(deed: Deed): void {
    this.atMs += 1;
    const process = this.transitions.layout.processes[deed.process]!;
    switch (deed.kind) {
      case 'lose': this.add({ kind: 'lose', id: this.take(deed.message, false), why: 'loss' }); break;
      case 'crash': this.add({ kind: 'crash', process: process.name, when: 'between two steps', forGood: false }); break;
      case 'restart': this.add({ kind: 'restart', process: process.name }); break;
      case 'take-over': this.add({ kind: 'take-over', process: process.name, tenure: process.tenure }); break;
      case 'time passes': this.timePasses(); break;
      default: this.step(deed, process.name); break;
    }
  }

  private timePasses(): void {
    const { times } = this.transitions.bounds;
    const time = timeOf(this.world);
    for (const { name } of this.living()) this.add({ kind: 'clock', process: name, jumpMs: times[time + 1]! - times[time]! });
  }

  private living(): readonly Process[] {
    return this.transitions.layout.processes.filter((_, process) => this.transitions.isThere(this.world, process));
  }

  private step(deed: Deed, process: ProcessName): void {
    const effect = deed.effect!;
    const { system: { txid }, machines } = this.transitions;
    const role = machines.roleOf(deed.before);
    const input = machines.inputs.values[deed.input];
    if (deed.kind === 'deliver') this.deliver(this.take(deed.message, deed.stays), process);
    if (deed.kind === 'start' || deed.kind === 'command') this.add({ kind: 'client', txid, text: `${(input as { readonly kind: string }).kind} to ${process}` });
    const cut = deed.cutShort === 'before the write';
    const after = cut || effect.refused || effect.error !== null ? deed.before : effect.local;
    const [told, labelBefore, labelAfter] = [this.textOf(input as CommonInput), machines.labelOf(deed.before), machines.labelOf(after)];
    this.add({ kind: 'step', process, role: role.name, txid, input: told, before: labelBefore, after: labelAfter });
    if (cut) {
      this.add({ kind: 'crash', process, when: 'before its write', forGood: false });
      return;
    }
    if (effect.records.length > 0) this.flush(deed, process);
    for (const message of effect.messages.slice(0, deed.sends)) this.send(message, process, role.name);
    if (deed.cutShort === 'after the write') {
      const { length } = effect.messages;
      this.add({ kind: 'crash', process, when: `after its write and ${deed.sends} of ${length} sends`, forGood: false });
    }
    this.answer(effect.told & ~this.told, process);
    this.told |= effect.told;
  }

  private flush({ effect, before }: Deed, process: ProcessName): void {
    const { system: { txid }, machines } = this.transitions;
    const role = machines.roleOf(before);
    const records = effect!.records.map((record) => ({ txid, role: role.name, text: recordText(role, record), refused: effect!.refused }));
    this.add({ kind: 'flush', process, site: role.site, records });
  }

  private answer(told: number, process: ProcessName): void {
    const { txid } = this.transitions.system;
    if (told & 1) this.add({ kind: 'answer', process, txid, outcome: 'committed' });
    if (told & 2) this.add({ kind: 'answer', process, txid, outcome: 'aborted' });
  }

  private send(message: number, from: ProcessName, sender: string): void {
    const { system, machines, layout } = this.transitions;
    const { sent: { to: receiver, message: body }, role } = machines.flights[message]!;
    const id = this.nextSend++;
    this.copies.set(message, [...(this.copies.get(message) ?? []), id]);
    const at = layout.hosts[role]!.at(-1)!.process;
    this.add({ kind: 'send', id, from, to: layout.processes[at]!.name, sender, receiver, txid: system.txid, text: system.describe(body) });
  }

  /** Of the coordinators it is the network that chooses one. */
  private deliver(id: number, to: ProcessName): void {
    const sent = this.events.findIndex((event) => event.kind === 'send' && event.id === id);
    this.events[sent] = { ...this.events[sent]!, to } as TraceEvent;
    this.add({ kind: 'deliver', id });
  }

  private take(message: number, stays: boolean): number {
    const ids = this.copies.get(message)!;
    if (!stays) this.copies.set(message, ids.slice(1));
    return ids[0]!;
  }

  private textOf(input: CommonInput): string {
    switch (input.kind) {
      case 'MESSAGE': return this.transitions.system.describe(input.message);
      case 'TIMER': return `timer ${input.timer}`;
      default: return (input as { readonly kind: string }).kind;
    }
  }

  private add(event: Untimed): void {
    this.events.push({ atMs: this.atMs, ...event });
  }
}
