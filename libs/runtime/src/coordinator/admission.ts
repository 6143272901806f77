import type { Clock } from '../ports.js';
import type { BeginRequest, CoordinatorOptions, ParticipantLoad } from './types.js';

/** How often a limit is looked at. */
const WINDOW_MS = 250;
/** As few as are always taken: enough for a participant to show that it is quick again. */
const FLOOR = 32;
/** Weight of the latest window in what is believed about a participant. */
const NEWS = 0.4;
/** The same for a quiet time that seems to be longer than it was: it may be the beginning of a queue. */
const BAD_NEWS = 0.02;
/** A transaction that takes so many times what it takes in quiet times is waiting rather than working. */
const PATIENCE = 4;
/** However long it takes in quiet times, no more than so many targets are waited for. */
const MOST_TARGETS = 10;

type AdmissionOptions = Pick<CoordinatorOptions, 'maxInFlight' | 'maxInFlightPerParticipant' | 'admissionTargetMs'>;

export type Refusal = { readonly code: 'OVERLOADED'; readonly limit: number } | { readonly code: 'PARTICIPANT_OVERLOADED'; readonly limit: number; readonly participant: string };

/**
 * How much is under way, by participant: begins that wait and transactions that are undecided. One participant that is down fills its own
 * share of the memory and leaves room for the others, and one that is slow gets no more than it can decide in a while.
 */
export class Admission {
  private readonly gates = new Map<string, Gate>();

  constructor(private readonly clock: Pick<Clock, 'elapsed'>, private readonly options: AdmissionOptions) {}

  /** @param inFlight unfinished transactions and begins that wait. @returns why a begin is refused, or null */
  check(participants: readonly string[], inFlight: number): Refusal | null {
    const { maxInFlight } = this.options;
    if (inFlight >= maxInFlight) return { code: 'OVERLOADED', limit: maxInFlight };
    const nowMs = this.clock.elapsed();
    for (const participant of participants) {
      const gate = this.gates.get(participant);
      if (gate?.isFull(nowMs) === true) return { code: 'PARTICIPANT_OVERLOADED', limit: gate.limit, participant };
    }
    return null;
  }

  /** Of participants that have been named. */
  loads(): Readonly<Record<string, ParticipantLoad>> {
    return Object.fromEntries([...this.gates].map(([name, { inFlight, limit }]) => [name, { undecided: inFlight, limit }]));
  }

  enter(participants: readonly string[]): void {
    for (const name of participants) this.gateOf(name).inFlight++;
  }

  /** @param sinceMs what had elapsed when it was asked for; null when it was not the participants who decided it, or nobody did */
  leave(participants: readonly string[], sinceMs: number | null): void {
    const nowMs = this.clock.elapsed();
    const tookMs = sinceMs === null ? null : nowMs - sinceMs;
    for (const name of participants) this.gateOf(name).left(tookMs, nowMs);
  }

  private gateOf(name: string): Gate {
    let gate = this.gates.get(name);
    if (gate === undefined) this.gates.set(name, gate = new Gate(this.options));
    return gate;
  }
}

/**
 * One participant's limit. What is under way is what is decided in a second times the seconds that it takes (Little, "A Proof for the
 * Queuing Formula: L = lambda W", 1961): so as long as it has to refuse, the limit is what has lately been decided in a second times the
 * seconds that a transaction should take, and more would only wait longer. Without refusals it opens, up to the configured one.
 */
class Gate {
  inFlight = 0;
  limit: number;
  private readonly floor: number;
  private readonly most: number;
  private readonly targetMs: number;
  private windowStartMs: number | null = null;
  private decided = 0;
  private tookMs = 0;
  private refused = false;
  /** Decided by participants in a second. */
  private rate: number | null = null;
  /** Mean time to a decision while nothing had to be refused. */
  private quietMs: number | null = null;

  constructor({ maxInFlightPerParticipant, admissionTargetMs }: AdmissionOptions) {
    this.most = maxInFlightPerParticipant;
    this.limit = this.most;
    this.floor = Math.min(FLOOR, this.most);
    this.targetMs = admissionTargetMs;
  }

  isFull(nowMs: number): boolean {
    if (this.inFlight < this.limit) return false;
    this.look(nowMs);
    const isFull = this.inFlight >= this.limit;
    this.refused ||= isFull;
    return isFull;
  }

  left(tookMs: number | null, nowMs: number): void {
    this.inFlight--;
    if (tookMs !== null) {
      this.decided++;
      this.tookMs += tookMs;
    }
    this.look(nowMs);
  }

  /** Asked when something comes or goes, so that a quiet participant needs no timer. */
  private look(nowMs: number): void {
    this.windowStartMs ??= nowMs;
    const elapsedMs = nowMs - this.windowStartMs;
    if (elapsedMs < WINDOW_MS || this.targetMs === 0) return;
    const windows = elapsedMs / WINDOW_MS;
    this.rate = blend(this.rate, (this.decided * 1000) / elapsedMs, 1 - (1 - NEWS) ** windows);
    if (this.refused) {
      const wanted = (this.rate * this.waitMs) / 1000;
      this.limit = clamp(Math.round(clamp(wanted, this.limit / 2, this.limit * 2)), this.floor, this.most);
    } else {
      this.limit = Math.min(this.most, Math.round(this.limit * 2 ** Math.min(windows, 16)));
      if (this.decided > 0) this.learnQuiet(this.tookMs / this.decided);
    }
    this.windowStartMs = nowMs;
    this.decided = 0;
    this.tookMs = 0;
    this.refused = false;
  }

  private learnQuiet(meanMs: number): void {
    this.quietMs = blend(this.quietMs, meanMs, meanMs < (this.quietMs ?? 0) ? NEWS : BAD_NEWS);
  }

  private get waitMs(): number {
    return clamp(PATIENCE * (this.quietMs ?? 0), this.targetMs, this.targetMs * MOST_TARGETS);
  }
}

function blend(before: number | null, now: number, weight: number): number {
  return before === null ? now : before + (now - before) * weight;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}

/** Each participant of the branches, or steps, once. */
export function participantsOf(request: BeginRequest | { readonly branches: readonly Named[] } | { readonly steps: readonly Named[] }): readonly string[] {
  const parts: readonly Named[] = 'steps' in request ? request.steps : request.branches;
  const names: string[] = [];
  for (const { participant } of parts) if (!names.includes(participant)) names.push(participant);
  return names;
}

interface Named {
  readonly participant: string;
}
