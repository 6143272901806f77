/**
 * The roles' pure functions behind tables: what has been computed once for a state and an input is never computed again. So the search
 * itself only moves numbers, and the production machines run a few thousand times for millions of states.
 */
import type { OutcomeStatus, TimerChange } from '#libs/protocol';
import type { Message, Role, Sent, System } from '../system.js';
import type { Bounds } from './bounds.js';
import { Interner, TripleMap } from './intern.js';

export interface SetTimer {
  readonly name: string;
  readonly attempt: number;
  /** Which counter of firings it uses up. */
  readonly counter: number;
  /** Id of the input that its firing is. */
  readonly input: number;
}

/** All that one instance of one role has in memory. */
export interface Local {
  readonly role: number;
  readonly state: number;
  readonly timers: readonly SetTimer[];
  /** Inputs that its store has given back and that it has not taken yet. */
  readonly pending: readonly number[];
}

/** What one input does to one instance and its rows. */
export interface Effect {
  /** Something was thrown: a violation. */
  readonly error: string | null;
  /** The store refused: nothing was written or sent, and the process forgets. */
  readonly refused: boolean;
  /** Ids of Local and of the rows afterwards. */
  readonly local: number;
  readonly durable: number;
  readonly records: readonly unknown[];
  /** Ids, in the order of sending. */
  readonly messages: readonly number[];
  /** Outcomes told to clients, as bits: by the instance, and by the rows alone. */
  readonly told: number;
  readonly read: number;
}

interface Step {
  readonly error: string | null;
  readonly local: Local;
  readonly records: readonly unknown[];
  readonly messages: readonly number[];
  readonly told: number;
}

export interface Flight {
  readonly sent: Sent;
  readonly role: number;
  readonly input: number;
}

export const TOLD: Readonly<Record<OutcomeStatus, number>> = { committed: 1, aborted: 2 };
/** Attempts only lengthen the wait from here on, in every machine. */
const MOST_ATTEMPT = 6;
/** More than any handler of one transaction can take, so that one that takes twice is seen to have taken twice. */
const AVAILABLE = 8;

export class Machines {
  readonly states = new Interner<unknown>();
  readonly inputs = new Interner<unknown>();
  readonly durables = new Interner<unknown>();
  readonly messages = new Interner<Sent>();
  /** By counter of firings: how many there may be. */
  readonly mostFirings: number[] = [];
  readonly flights: Flight[] = [];
  readonly locals: Local[] = [];
  /** By role: nothing in memory; no rows. */
  readonly empty: readonly number[];
  readonly noRows: readonly number[];
  private readonly counters = new Interner<string>();
  private readonly localIds = new Interner<unknown>();
  private readonly steps: Step[] = [];
  private readonly stepIds = new TripleMap();
  private readonly effects: Effect[] = [];
  private readonly effectIds = new TripleMap();
  private readonly boots = new TripleMap();
  private readonly firedIds = new TripleMap();

  constructor(private readonly system: System, private readonly bounds: Bounds, private readonly times: readonly number[]) {
    this.empty = system.roles.map((_, role) => this.localId({ role, state: this.stateId(role, null), timers: [], pending: [] }));
    this.noRows = system.roles.map((_, role) => this.durableId(role, null));
  }

  roleNamed(name: string): number {
    const role = this.system.roles.findIndex((each) => each.name === name);
    if (role < 0) throw new Error(`no role ${name} among ${this.system.roles.map((each) => each.name).join(', ')}`);
    return role;
  }

  /** Ids of the values that a violation is asked about. */
  durable(id: number): unknown {
    return this.durables.values[id];
  }

  /** @param time index into the times of the bounds */
  effectOf(local: number, input: number, durable: number, tenure: number, time: number, fenced: boolean): Effect {
    const around = time * 8 + tenure;
    let step = this.stepIds.get(local, input, around);
    if (step < 0) {
      step = this.steps.push(this.stepOf(local, input, tenure, time)) - 1;
      this.stepIds.set(local, input, around, step);
    }
    const guard = fenced ? 1 : 0;
    let effect = this.effectIds.get(step, durable, guard);
    if (effect < 0) {
      effect = this.effects.push(this.writeOf(this.steps[step]!, durable, fenced)) - 1;
      this.effectIds.set(step, durable, guard, effect);
    }
    return this.effects[effect]!;
  }

  /** The process starts, or takes the shard over. */
  bootOf(role: number, durable: number): number {
    let local = this.boots.get(role, durable, 0);
    if (local < 0) {
      const { state, input } = this.system.roles[role]!.boot(this.durables.values[durable]);
      local = this.localId({ role, state: this.stateId(role, state), timers: [], pending: input === null ? [] : [this.inputs.idOf(input)] });
      this.boots.set(role, durable, 0, local);
    }
    return local;
  }

  /** The same memory without its i-th timer, which is firing. */
  withoutTimer(local: number, index: number): number {
    let without = this.firedIds.get(local, index, 0);
    if (without < 0) {
      const before = this.locals[local]!;
      without = this.localId({ ...before, timers: before.timers.toSpliced(index, 1) });
      this.firedIds.set(local, index, 0, without);
    }
    return without;
  }

  /** The same memory without the first input that waits. */
  withoutPending(local: number): number {
    let without = this.firedIds.get(local, -1, 0);
    if (without < 0) {
      const before = this.locals[local]!;
      without = this.localId({ ...before, pending: before.pending.slice(1) });
      this.firedIds.set(local, -1, 0, without);
    }
    return without;
  }

  labelOf(local: number): string {
    const { role, state } = this.locals[local]!;
    return this.system.roles[role]!.label(this.states.values[state]);
  }

  // ---------------------------------------------------------------- what runs once for each case

  private stepOf(localId: number, input: number, tenure: number, time: number): Step {
    const local = this.locals[localId]!;
    const role = this.system.roles[local.role]!;
    try {
      const { state, records, messages, timers } = role.step(this.states.values[local.state], this.inputs.values[input], {
        nowMs: this.times[time]!, tenure, available: AVAILABLE,
      });
      return {
        error: null, records, messages: messages.map((sent) => this.messageId(sent)), told: bitOf(role.answer?.(state) ?? null),
        local: { ...local, state: this.stateId(local.role, state), timers: this.changed(role, local.timers, timers) },
      };
    } catch (error) {
      return { error: `UNEXPECTED: ${(error as Error).message}`, local, records: [], messages: [], told: 0 };
    }
  }

  private writeOf({ error, local, records, messages, told }: Step, durable: number, fenced: boolean): Effect {
    const role = this.system.roles[local.role]!;
    const refusal: Effect = { error, refused: false, local: this.empty[local.role]!, durable, records, messages: [], told: 0, read: 0 };
    if (error !== null) return refusal;
    try {
      let rows = this.durables.values[durable];
      const pending = [...local.pending];
      for (const record of records) {
        const written = role.write(rows, record, fenced);
        if (written === 'refused') return { ...refusal, refused: true };
        rows = written.durable;
        if (written.input !== undefined) pending.push(this.inputs.idOf(written.input));
      }
      const after = records.length === 0 ? durable : this.durableId(local.role, rows);
      return { error, refused: false, local: this.localId({ ...local, pending }), durable: after, records, messages, told, read: bitOf(role.read?.(rows) ?? null) };
    } catch (thrown) {
      return { ...refusal, error: `UNEXPECTED: ${(thrown as Error).message}` };
    }
  }

  private changed(role: Role, timers: readonly SetTimer[], changes: readonly TimerChange<string>[]): readonly SetTimer[] {
    let after = timers;
    for (const change of changes) {
      const name = 'set' in change ? change.set : change.cancel;
      after = after.filter((timer) => timer.name !== name);
      if ('set' in change) after = [...after, this.timerOf(role, name, change.attempt)];
    }
    return after.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  private timerOf(role: Role, name: string, attempt: number): SetTimer {
    const { timers, firings } = this.bounds;
    const own = `${name} at ${role.name}`;
    const counter = this.counters.idOf(own in timers ? own : name);
    this.mostFirings[counter] = timers[own] ?? timers[name] ?? firings;
    const counted = Math.min(Math.max(attempt, this.bounds.firstAttempts[name] ?? 0), MOST_ATTEMPT);
    return { name, attempt: counted, counter, input: this.inputs.idOf({ kind: 'TIMER', timer: name, attempt: counted }) };
  }

  // ---------------------------------------------------------------- numbers for values

  private stateId(role: number, state: unknown): number {
    return this.states.idOf(state, String(role));
  }

  private durableId(role: number, rows: unknown): number {
    return this.durables.idOf(rows, String(role));
  }

  private localId(local: Local): number {
    const id = this.localIds.idOf(local);
    this.locals[id] = local;
    return id;
  }

  messageId(sent: Sent): number {
    const id = this.messages.idOf(sent);
    this.flights[id] ??= { sent, role: this.roleNamed(sent.to), input: this.inputs.idOf({ kind: 'MESSAGE', message: sent.message satisfies Message }) };
    return id;
  }

  roleOf(local: number): Role {
    return this.system.roles[this.locals[local]!.role]!;
  }
}

function bitOf(outcome: OutcomeStatus | null): number {
  return outcome === null ? 0 : TOLD[outcome];
}
