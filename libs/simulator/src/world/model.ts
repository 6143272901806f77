/** The things of a simulated world. Plain data: what happens to them is in the files beside. */
import type { OutcomeStatus } from '#libs/protocol';
import type { Role, RoleStep, SiteName, Surroundings, System } from '../system.js';
import type { ProcessName, Trace } from '../trace.js';
import type { FaultOdds } from './faults.js';
import type { EventQueue, Timed } from './queue.js';
import type { Random } from './random.js';

/** One database, and the processes in front of it: one, except for the coordinator. */
export interface Site {
  readonly index: number;
  readonly name: SiteName;
  /** Several processes over the database, of which one owns the shard. */
  readonly shared: boolean;
  readonly processes: Process[];
  /** Number of ownerships so far. */
  tenure: number;
  owner: Process;
  /** Pieces in the shop's rows. */
  stock: number;
  readonly firstStock: number;
  /** Database and processes are gone for good. */
  lost: boolean;
}

export interface Process {
  readonly site: Site;
  /** Place among the processes of the site. */
  readonly index: number;
  readonly name: ProcessName;
  readonly instances: Instance[];
  up: boolean;
  /** The ownership that it believes in; 0: it knows that it owns nothing. Always 1 where the site is not shared. */
  tenure: number;
  /** Its clock minus the time, now and at the start. */
  skewMs: number;
  firstSkewMs: number;
  /** 1: as fast as it should be. */
  slowFactor: number;
  /** Steps since the last flush, and the next flush if there are any. */
  pending: Pending[];
  flush: Event | null;
  /** Stock, after what the pending steps take. */
  available: number;
}

/** One role of one transaction in the memory of one process. */
export interface Instance {
  readonly transaction: Transaction;
  /** Place of the role in the system. */
  readonly index: number;
  readonly role: Role;
  readonly process: Process;
  state: unknown;
  /** Those that are set. */
  timers: Event[];
  /** The client has been told. */
  told: boolean;
  /** A client waits here. */
  waiting: boolean;
  /** Number of the flush in which the store refused it. */
  refusedIn: number;
}

export interface Pending {
  readonly instance: Instance;
  readonly result: RoleStep<unknown, unknown>;
  /** The message that led to the step, for when it has to come again. */
  readonly message: unknown;
  /** The store has refused it. */
  refused: boolean;
}

export interface Transaction {
  readonly index: number;
  readonly system: System;
  readonly view: { readonly durables: unknown[]; readonly answers: OutcomeStatus[] };
  /** By place of the role, then of the process. */
  readonly instances: readonly (readonly Instance[])[];
  /** Places of the roles by name. */
  readonly places: ReadonlyMap<string, number>;
  /** Place of the role that clients talk to. */
  readonly startAt: number;
  /** By role: since when it holds something back for an undecided transaction; -1: it does not. */
  readonly heldSinceMs: number[];
  readonly client: Client;
  /** Number of the last flush that wrote something of it. */
  touchedIn: number;
}

export interface Client {
  readonly startsAtMs: number;
  /** Requests that it still sends if it hears nothing. */
  triesLeft: number;
  tries: number;
  done: boolean;
  /** A request got to the owner when nothing could go wrong any more. */
  receivedInPeace: boolean;
}

// ---------------------------------------------------------------- events

export const DELIVER = 0;
export const FLUSH = 1;
export const TIMER = 2;
export const CLIENT = 3;
export const REQUEST = 4;
export const COMMAND = 5;
export const RESTART = 6;
export const TAKE_OVER = 7;
export const LEARN = 8;
export const RECOVER_SPEED = 9;
export const JOIN = 10;
export const CHAOS = 11;
export const SCRIPT = 12;
export const HEAL = 13;
export const CHECK = 14;
export const BEGIN_FAULTS = 15;

/** What is to happen; which of the fields say something depends on `kind`. */
export class Event implements Timed {
  seq = 0;
  cancelled = false;
  constructor(
    public atMs: number,
    readonly kind: number,
    readonly process: Process | null,
    readonly instance: Instance | null,
    /** A message, a timer's name, a command, a transaction. */
    readonly data: unknown,
    /** Id of a message in the trace, attempt of a timer, kind of chaos. */
    readonly n: number,
  ) {}
}

// ---------------------------------------------------------------- the world

/** How often what was injected. */
export interface FaultCounts {
  loss: number;
  duplicate: number;
  delay: number;
  partition: number;
  oneWayPartition: number;
  crashBeforeFlush: number;
  crashAfterFlush: number;
  crashBetweenSends: number;
  crash: number;
  loseSite: number;
  flushFailure: number;
  slow: number;
  clockSkew: number;
  clockJump: number;
  hastyTimer: number;
  takeOver: number;
  wrongOwner: number;
  retryElsewhere: number;
  cancel: number;
  command: number;
}

export function noFaultCounts(): FaultCounts {
  return {
    loss: 0, duplicate: 0, delay: 0, partition: 0, oneWayPartition: 0, crashBeforeFlush: 0, crashAfterFlush: 0, crashBetweenSends: 0, crash: 0, loseSite: 0,
    flushFailure: 0, slow: 0, clockSkew: 0, clockJump: 0, hastyTimer: 0, takeOver: 0, wrongOwner: 0, retryElsewhere: 0, cancel: 0, command: 0,
  };
}

/** Milliseconds from one site to another. */
export type Latency = (from: SiteName, to: SiteName, random: Random) => number;

export interface World {
  readonly random: Random;
  readonly queue: EventQueue<Event>;
  readonly sites: readonly Site[];
  readonly processes: readonly Process[];
  /** The one whose processes compete for ownership. */
  readonly coordinator: Site;
  readonly transactions: readonly Transaction[];
  readonly trace: Trace | null;
  readonly latency: Latency | null;
  readonly flushMs: number;
  readonly counts: FaultCounts;
  /** By `from * sites + to`: messages do not get through. */
  readonly cut: Uint8Array;
  cuts: boolean;
  /** What goes wrong now. */
  faults: FaultOdds;
  /** The end of phase one. */
  readonly healsAtMs: number;
  nowMs: number;
  healed: boolean;
  /** Ids of messages in the trace. */
  messages: number;
  flushes: number;
  longestInDoubtMs: number;
  /** What a step is told; one object for all. */
  readonly around: { -readonly [K in keyof Surroundings]: Surroundings[K] };
}

/** A property does not hold; the text starts with its name. */
export class Violation extends Error {}
