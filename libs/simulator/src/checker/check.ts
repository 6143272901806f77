/**
 * Every order of events of a small system, breadth first, on the production machines. The first violation found has the fewest possible
 * transitions. What is explored and what is bounded: docs/checker.md.
 */
import type { System } from '../system.js';
import { transcript } from '../transcript.js';
import type { TraceEvent } from '../trace.js';
import { boundsOf, type Bounds } from './bounds.js';
import { answersIn, hasTold, Healer, viewOf, type Healing } from './heal.js';
import { WorldQueue } from './queue.js';
import { Replay } from './replay.js';
import { MOST_WORDS, Transitions } from './transitions.js';
import { Visited } from './visited.js';
import { isUndisturbed, toldIn } from './world.js';

export interface Violation {
  /** The property first: `AC1: ...`. */
  readonly text: string;
  readonly events: readonly TraceEvent[];
  readonly transcript: string;
}

export interface CheckResult {
  readonly protocol: string;
  readonly bounds: Bounds;
  /** Different worlds. */
  readonly states: number;
  /** Transitions taken, to worlds new or known. */
  readonly transitions: number;
  /** Transitions on the longest of the shortest ways to a world. */
  readonly depth: number;
  /** Continuations without faults that were followed to their end. */
  readonly healed: number;
  /** False: a violation or the bound on states stopped the search, and worlds remain that nobody has looked at. */
  readonly exhausted: boolean;
  readonly violation: Violation | null;
}

export interface Progress {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Worlds that were reached and not yet looked at. */
  readonly waiting: number;
}

export interface Hooks {
  /** Told about every hundred thousand worlds. */
  readonly progress?: (progress: Progress) => void;
}

const PROGRESS_EVERY = 100_000;

const HEALINGS: readonly Healing[] = [
  { keepsMessages: false, losesCoordinator: false }, { keepsMessages: true, losesCoordinator: false }, { keepsMessages: false, losesCoordinator: true },
];

/** @throws BoundsError when a bound is impossible */
export function check(system: System, bounds: Partial<Bounds> = {}, hooks: Hooks = {}): CheckResult {
  return new Search(system, boundsOf(bounds), hooks).run();
}

class Search {
  private readonly transitions: Transitions;
  private readonly visited = new Visited();
  private readonly waiting = new WorldQueue();
  private readonly healer: Healer;
  private readonly world = new Int32Array(MOST_WORDS);
  /** Rows and answers that violate nothing. */
  private readonly lawful = new Visited();
  private readonly facts: Int32Array;
  private readonly healings: readonly Healing[];
  private current = 0;
  private depth = 0;
  private taken = 0;
  private ordinal = 0;
  /** What is wrong, and by which of the current world's transitions; null: with the world itself. */
  private found: { readonly text: string; readonly ordinal: number | null } | null = null;
  private violation: Violation | null = null;

  constructor(private readonly system: System, private readonly bounds: Bounds, private readonly hooks: Hooks) {
    this.transitions = new Transitions(system, bounds);
    this.healer = new Healer(this.transitions);
    this.facts = new Int32Array(system.roles.length + 1);
    this.healings = HEALINGS.filter(({ losesCoordinator }) => !losesCoordinator || system.nonBlocking);
  }

  run(): CheckResult {
    const length = this.transitions.first(this.world);
    this.visited.add(this.world, length, -1, 0);
    this.waiting.push(this.world, length);
    const visit = (): void => this.reach();
    let endOfLevel = 1;
    for (this.current = 0; this.goesOn(); this.current++) {
      if (this.current === endOfLevel) {
        endOfLevel = this.visited.size;
        this.depth += 1;
      }
      const words = this.waiting.shift(this.world);
      this.ordinal = 0;
      this.transitions.expand(this.world, words, visit);
      if (this.found !== null) this.violation = this.counterexample(this.found.text, this.found.ordinal);
      else this.judgeRest(words);
      if (this.current % PROGRESS_EVERY === 0) this.report();
    }
    return this.result();
  }

  private goesOn(): boolean {
    return this.violation === null && this.waiting.size > 0 && this.visited.size < this.bounds.mostStates;
  }

  /** One transition leads to `transitions.next`. */
  private reach(): void {
    if (this.found !== null) return;
    const { next, length, deed } = this.transitions;
    const ordinal = this.ordinal++;
    this.taken += 1;
    const error = deed.effect !== null && deed.cutShort !== 'before the write' ? deed.effect.error : null;
    const found = error ?? this.unlawful(next);
    if (found !== null) this.found = { text: found, ordinal };
    else if (this.visited.add(next, length, this.current, ordinal)) this.waiting.push(next, length);
  }

  /** Most worlds have the rows and answers of one seen before. */
  private unlawful(world: Int32Array): string | null {
    const { durables } = this.transitions.layout;
    const { facts } = this;
    for (let i = 0; i + 1 < facts.length; i++) facts[i] = world[durables + i]!;
    facts[facts.length - 1] = toldIn(world);
    if (!this.lawful.add(facts, facts.length, 0, 0)) return null;
    return this.system.violation(viewOf(this.transitions, world));
  }

  /** What can be said once a world's transitions are known. */
  private judgeRest(words: number): void {
    const { world } = this;
    if (this.transitions.byItself === 0 && isUndisturbed(world) && !hasTold(world, this.system.expected)) {
      this.violation = this.counterexample(`AC4: nothing failed, ${this.system.expected} is due and ${answersIn(world).join(' and ') || 'nothing'} is told`, null);
    }
    if (this.violation !== null || this.bounds.healEvery === 0 || this.current % this.bounds.healEvery !== 0) return;
    for (const healing of this.healings) {
      const found = this.healer.heal(world, words, healing);
      if (found !== null && this.violation === null) this.violation = this.deadEnd(found, words, healing);
    }
  }

  private counterexample(text: string, last: number | null): Violation {
    const replay = this.replay();
    if (last !== null) replay.follow(last);
    return tell(text, replay.events);
  }

  private deadEnd(text: string, words: number, healing: Healing): Violation {
    const replay = this.replay();
    replay.heal(healing);
    this.healer.heal(this.world, words, healing, (deed) => replay.note(deed));
    return tell(text, replay.events);
  }

  /** The way to the current world, once more. */
  private replay(): Replay {
    const ordinals: number[] = [];
    for (let state = this.current; state > 0; state = this.visited.parentOf(state)) ordinals.push(this.visited.ordinalOf(state));
    const replay = new Replay(this.transitions);
    for (const ordinal of ordinals.toReversed()) replay.follow(ordinal);
    return replay;
  }

  private report(): void {
    this.hooks.progress?.({ states: this.visited.size, transitions: this.taken, depth: this.depth, waiting: this.waiting.size });
  }

  private result(): CheckResult {
    return {
      protocol: this.system.protocol, bounds: this.bounds, states: this.visited.size, transitions: this.taken, depth: this.depth, healed: this.healer.runs,
      exhausted: this.violation === null && this.waiting.size === 0, violation: this.violation,
    };
  }
}

function tell(text: string, events: readonly TraceEvent[]): Violation {
  const all: TraceEvent[] = [...events, { atMs: (events.at(-1)?.atMs ?? 0) + 1, kind: 'violation', text }];
  return { text, events: all, transcript: transcript(all) };
}
