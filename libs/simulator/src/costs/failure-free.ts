/**
 * Runs the machines of a system once, without failures, with a delay of one for every message between nodes and none within a node,
 * and notes what was sent and what was forced to disk. Timers never fire: nothing is late. What a role does in one instant shares
 * a flush, and nothing leaves before it.
 */
import type { Message, Role, RoleName, Sent, System } from '../system.js';
import type { Layout } from './layout.js';

/** Positions are in the order of the run, over messages and writes together. */
export interface CountedMessage {
  readonly position: number;
  readonly atDelay: number;
  readonly from: string;
  readonly to: RoleName;
  readonly text: string;
}

export interface CountedWrite {
  readonly position: number;
  readonly atDelay: number;
  readonly role: RoleName;
  /** True for the flush in which the request itself became durable. */
  readonly ofRequest: boolean;
}

export interface FailureFreeRun {
  /** Between nodes only. */
  readonly messages: readonly CountedMessage[];
  readonly writes: readonly CountedWrite[];
  /** When each participant had learned the outcome (of a saga: when its step had run). */
  readonly appliedAtDelay: ReadonlyMap<RoleName, number>;
  /** When the outcome left for the client, and when it arrives; null: never. */
  readonly answer: { readonly position: number; readonly atDelay: number } | null;
}

interface Arrival {
  readonly role: number;
  readonly input: unknown;
}

const AROUND = { nowMs: 0, tenure: 1, available: Number.MAX_SAFE_INTEGER } as const;
/** What the machines of participants call themselves then. */
const APPLIED: ReadonlySet<string> = new Set(['committed', 'executed']);
/** Far beyond what any protocol needs; a run that gets here does not end. */
const MOST_DELAYS = 1000;

export function runWithoutFailures(system: System, layout: Layout): FailureFreeRun {
  return new Run(system, layout).run();
}

class Run {
  private readonly indexOf: ReadonlyMap<RoleName, number>;
  private readonly states: unknown[];
  private readonly durables: unknown[];
  private readonly arrivals: Arrival[][] = [];
  private readonly messages: CountedMessage[] = [];
  private readonly writes: CountedWrite[] = [];
  private readonly appliedAtDelay = new Map<RoleName, number>();
  private answer: FailureFreeRun['answer'] = null;
  private position = 0;
  private atDelay = 0;

  constructor(private readonly system: System, private readonly layout: Layout) {
    this.indexOf = new Map(system.roles.map(({ name }, i) => [name, i]));
    this.states = system.roles.map(() => null);
    this.durables = system.roles.map(() => null);
  }

  run(): FailureFreeRun {
    this.request();
    for (; this.atDelay < this.arrivals.length; this.atDelay += 1) {
      if (this.atDelay > MOST_DELAYS) throw new Error(`${this.system.protocol} does not end without failures`);
      for (let now = this.take(); now.length > 0; now = this.take()) this.instant(now);
    }
    return { messages: this.messages, writes: this.writes, appliedAtDelay: this.appliedAtDelay, answer: this.answer };
  }

  /** The client's request, and with it whatever an initiator that has prepared already has to say. */
  private request(): void {
    const { start } = this.system;
    const coordinator = this.role(start.role);
    this.send('client', start.role, 'the request', { role: this.indexOf.get(start.role)!, input: start.input });
    if (!this.layout.initiatorPrepared) return;
    const prepare = firstRequestTo('participant 0', coordinator, start.input, this.system.protocol);
    const said = this.stepAndFlush(this.indexOf.get('participant 0')!, [{ role: this.indexOf.get('participant 0')!, input: { kind: 'MESSAGE', message: prepare } }]);
    for (const { to, message } of said) {
      const arrival = { role: this.indexOf.get(to)!, input: { kind: 'MESSAGE', message } };
      const together = this.layout.nodeOf(to) === this.layout.nodeOf(start.role);
      if (together) (this.arrivals[this.distance('client', start.role)] ??= []).push(arrival);
      else this.send('participant 0', to, this.system.describe(message), arrival);
    }
  }

  private take(): Arrival[] {
    const now = this.arrivals[this.atDelay] ?? [];
    this.arrivals[this.atDelay] = [];
    return now;
  }

  /** What travels with the request is taken once the request is durable. */
  private instant(now: readonly Arrival[]): void {
    for (const [role, arrivals] of Map.groupBy(now, (arrival) => arrival.role)) {
      for (const together of [arrivals.filter(({ input }) => this.isRequest(input)), arrivals.filter(({ input }) => !this.isRequest(input))]) {
        if (together.length === 0) continue;
        for (const sent of this.stepAndFlush(role, together)) this.post(this.system.roles[role]!.name, sent, together);
      }
    }
  }

  private isRequest(input: unknown): boolean {
    return input === this.system.start.input;
  }

  /** The steps of one role in one instant, their flush, and the steps that the store's answers lead to. Answers what may leave. */
  private stepAndFlush(index: number, arrivals: readonly Arrival[]): Sent[] {
    const role = this.system.roles[index]!;
    const leaves: Sent[] = [];
    let inputs = arrivals.map(({ input }) => input);
    while (inputs.length > 0) {
      const records: unknown[] = [];
      for (const input of inputs) {
        const step = role.step(this.states[index], input, AROUND);
        this.states[index] = step.state;
        records.push(...step.records);
        leaves.push(...step.messages);
      }
      inputs = this.flush(index, records, arrivals);
    }
    this.note(role, index);
    return leaves;
  }

  private flush(index: number, records: readonly unknown[], arrivals: readonly Arrival[]): unknown[] {
    if (records.length === 0) return [];
    const role = this.system.roles[index]!;
    this.position += 1;
    const ofRequest = arrivals.some(({ input }) => this.isRequest(input));
    this.writes.push({ position: this.position, atDelay: this.atDelay, role: role.name, ofRequest });
    return records.flatMap((record) => {
      const written = role.write(this.durables[index], record, false);
      if (written === 'refused') throw new Error(`${role.name} refused a record although nothing failed`);
      this.durables[index] = written.durable;
      return written.input === undefined ? [] : [written.input];
    });
  }

  private note(role: Role, index: number): void {
    const state = this.states[index];
    const applied = role.name.startsWith('participant ') && APPLIED.has(role.label(state));
    if (applied && !this.appliedAtDelay.has(role.name)) this.appliedAtDelay.set(role.name, this.atDelay);
    if (this.answer !== null || (role.answer?.(state) ?? null) === null) return;
    this.position += 1;
    this.answer = { position: this.position, atDelay: this.atDelay + this.distance(role.name, 'client') };
  }

  /** An initiator that has prepared already is not asked to. */
  private post(from: RoleName, { to, message }: Sent, causes: readonly Arrival[]): void {
    const starting = causes.some(({ input }) => this.isRequest(input));
    if (this.layout.initiatorPrepared && starting && to === 'participant 0') return;
    this.send(from, to, this.system.describe(message as Message), { role: this.indexOf.get(to)!, input: { kind: 'MESSAGE', message } });
  }

  private send(from: RoleName, to: RoleName, text: string, arrival: Arrival): void {
    const distance = this.distance(from, to);
    if (distance > 0) {
      this.position += 1;
      this.messages.push({ position: this.position, atDelay: this.atDelay, from, to, text });
    }
    (this.arrivals[this.atDelay + distance] ??= []).push(arrival);
  }

  private distance(from: RoleName, to: RoleName): 0 | 1 {
    return this.layout.nodeOf(from) === this.layout.nodeOf(to) ? 0 : 1;
  }

  private role(name: RoleName): Role {
    return this.system.roles[this.indexOf.get(name)!]!;
  }
}

/** What the coordinator is going to ask of a participant, found out beside the run: its functions are pure. */
function firstRequestTo(receiver: RoleName, coordinator: Role, start: unknown, protocol: string): Message {
  let state: unknown = null;
  let durable: unknown = null;
  for (const inputs = [start]; inputs.length > 0;) {
    const step = coordinator.step(state, inputs.shift(), AROUND);
    const request = step.messages.find(({ to }) => to === receiver);
    if (request !== undefined) return request.message;
    state = step.state;
    for (const record of step.records) {
      const written = coordinator.write(durable, record, false);
      if (written === 'refused') break;
      durable = written.durable;
      if (written.input !== undefined) inputs.push(written.input);
    }
  }
  throw new Error(`${protocol} asks ${receiver} for nothing when it starts`);
}
