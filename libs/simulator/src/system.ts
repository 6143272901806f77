/**
 * What the simulator, the exhaustive checker, the cost table and the data-centre report know of a protocol, and all they know.
 *
 * A *system* is one transaction under one protocol: its roles. A *role* is one production machine of libs/protocol together with
 * the rows that it owns. A *site* is one database and the process (or, for the coordinator, processes) in front of it; roles of the
 * same site crash together and share a flush. Several systems over the same sites are several transactions at once.
 *
 * All values (states, inputs, records, durables, messages) are plain immutable data, equal iff their JSON is equal, and every function
 * here is pure. So a caller may memoize, hash, replay and compare freely.
 */
import type { OutcomeStatus, TimerChange } from '#libs/protocol';

/** `coordinator`, `p0`, `p1`, ... and `a3`, `a4`, ... for acceptors that no participant hosts. */
export type SiteName = string;
/** `coordinator`, `participant 0`, `acceptor 1`, `leader 0`. Unique within a system. */
export type RoleName = string;

export interface Message {
  readonly kind: string;
}

export interface Sent<M extends Message = Message> {
  readonly to: RoleName;
  readonly message: M;
}

/** By convention every machine takes these two; all other inputs are its own (START, RECOVER, REGISTERED, ...). */
export type CommonInput =
  | { readonly kind: 'MESSAGE'; readonly message: Message }
  | { readonly kind: 'TIMER'; readonly timer: string; readonly attempt: number };

export interface Surroundings {
  /** The process's own clock, which may be wrong. Milliseconds. */
  readonly nowMs: number;
  /** Which ownership of the coordinator's shard this instance belongs to, 1, 2, ...; 1 for all other roles. */
  readonly tenure: number;
  /** Pieces that this site's handlers may still take, after everything that is written or about to be. */
  readonly available: number;
}

export interface RoleStep<State, Record> {
  readonly state: State;
  /** Durable before any message leaves. */
  readonly records: readonly Record[];
  readonly messages: readonly Sent[];
  readonly timers: readonly TimerChange<string>[];
  /** By how much the handler that ran in this step changed the site's stock; written with the records. */
  readonly stock?: number;
}

/** What a record did to the role's rows. */
export type Written<Durable, Input> =
  | {
    readonly durable: Durable;
    /** What the store tells the instance that wrote (the content of a register). Comes after the flush. */
    readonly input?: Input;
  }
  /** The store refuses (fenced, or a row that must not be there is): the flush writes nothing of this instance, which is dropped. */
  | 'refused';

/**
 * @typeParam State in memory; null: nothing is
 * @typeParam Durable the rows in the site's database; null: none
 */
export interface Role<State = unknown, Input = unknown, Record = unknown, Durable = unknown> {
  readonly name: RoleName;
  readonly site: SiteName;
  /** After a start of the process, or (coordinator) after taking the shard over: what is loaded, and the input that follows. */
  boot(durable: Durable | null): { readonly state: State | null; readonly input: Input | null };
  /** @throws UnexpectedInputError (of libs/protocol) when no rule covers the input: a violation */
  step(state: State | null, input: Input, around: Surroundings): RoleStep<State | null, Record>;
  /** @param fenced true when the writing instance's tenure is over: its guarded records must be refused */
  write(durable: Durable | null, record: Record, fenced: boolean): Written<Durable, Input>;
  /** What a client that waits at this instance is told once the state's records are durable; null: nothing yet. Client-facing roles only. */
  answer?(state: State | null): OutcomeStatus | null;
  /** What a client that reads the tables is told. Client-facing roles only. */
  read?(durable: Durable | null): OutcomeStatus | null;
  /** One or two words for transcripts and pages: `preparing`, `prepared`, `pre-committed (2, p1)`. */
  label(state: State | null): string;
  /** A record in two or three words for transcripts and pages: `DECIDE COMMIT`, `prepared`. Absent: its `kind`. */
  recordText?(record: Record): string;
}

/** A record as transcripts show it. */
export function recordText(of: Role, record: unknown): string {
  return of.recordText?.(record) ?? (record as { readonly kind?: string }).kind ?? 'row';
}

/** For transcripts: `VOTE yes`, `PHASE_1A (1, 2)`. */
export type Describe = (message: Message) => string;

/** Everything durable of one transaction, by the position of the role in `System.roles`, and what clients were told so far. */
export interface View {
  readonly durables: readonly unknown[];
  readonly answers: readonly OutcomeStatus[];
}

export interface System {
  /** `2pc`, `3pc`, `paxos-commit`, `saga`, `textbook-3pc`. */
  readonly protocol: string;
  readonly txid: string;
  readonly roles: readonly Role[];
  /** The client's request goes to this role with this input; a client may send it again elsewhere. */
  readonly start: { readonly role: RoleName; readonly input: unknown };
  /** What clients and operators may do to that role at any time: CANCEL, RETRY_NOW, RESOLVE. */
  readonly commands: readonly unknown[];
  /** True when the protocol must end at a connected majority although the other sites are gone for good. */
  readonly nonBlocking: boolean;
  /** What the outcome is if nothing fails and nobody commands anything (AC4). Stock permitting. */
  readonly expected: OutcomeStatus;
  readonly describe: Describe;
  /** A safety property that does not hold at this moment, its name first (`AC1: ...`); null when all hold. */
  violation(view: View): string | null;
  /** True when nothing is owed any more at the given sites (all, unless some are gone for good). */
  ended(view: View, sites: ReadonlySet<SiteName>): boolean;
  /** A property of the end that does not hold (leftovers, effects other than the outcome says); null when all hold. Only asked once ended. */
  leftover(view: View, sites: ReadonlySet<SiteName>): string | null;
}

/** Hides a role's types from those who only pass its values around. */
export function role<State, Input, Record, Durable>(typed: Role<State, Input, Record, Durable>): Role {
  return typed as unknown as Role;
}
