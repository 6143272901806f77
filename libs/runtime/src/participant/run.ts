import type { Envelope, ProtocolMessage, TimerChange } from '#libs/protocol';
import type { InboundBatch } from '../ports.js';
import type { SiteKey } from './keys.js';
import { applies } from './roles/handler-answers.js';
import type { Roles } from './roles/index.js';
import type { Actor, Effects, Memory, RoleInput, RoleName, Row, TimerName } from './roles/role.js';
import type { HandlerCall, HandlerResult } from './types.js';

export interface WorkInput {
  readonly role: RoleName;
  readonly input: RoleInput;
  /** The repetition of a parked decision; all other attempts at it are held back. */
  readonly isRetry: boolean;
  /** Where the message came from; null for timers, repetitions and what one role of this site says to another. */
  readonly batch: InboundBatch | null;
}

/** Everything that one database transaction is to do at one key, in order. */
export interface Work {
  readonly id: string;
  readonly key: SiteKey;
  readonly inputs: readonly WorkInput[];
}

/** A commit or abort handler that failed. */
export interface FailedDecision {
  readonly action: 'commit' | 'abort';
  readonly operation: string;
  readonly again: ProtocolMessage;
  readonly error: unknown;
}

/** What a database transaction has made of one key. */
export interface Outcome {
  readonly id: string;
  readonly key: SiteKey;
  /** The row now; null when there is none. */
  readonly row: Row | null;
  /** Whether this transaction wrote the row. */
  readonly written: boolean;
  /** To be sent once all of it is durable. */
  readonly messages: readonly Envelope[];
  readonly timers: readonly TimerChange<TimerName>[];
  /** What is to be remembered beside the row from here on; null: nothing. */
  readonly memory: Memory | null;
  /** Nothing that was remembered had been used: it was none, or belonged to an earlier row. */
  readonly fresh: boolean;
  readonly failure: FailedDecision | null;
  /** A parked decision was among the inputs. */
  readonly retried: boolean;
  readonly inputs: number;
  readonly handlerCalls: number;
  readonly skipped: readonly { readonly input: RoleInput; readonly error: unknown }[];
}

export interface RunContext {
  readonly roles: Roles;
  readonly nowMs: number;
  /** True while a decision of this branch waits for its repetition. */
  isParked(id: string): boolean;
  /** Takes what another machine of this site can have in the same database transaction; false: it has to be sent. */
  post(envelope: Envelope): boolean;
}

/** One key inside one attempt at a database transaction: steps its machine until it needs a handler or is through. */
export class Run {
  /** The handler that is to run next. */
  call: HandlerCall | null = null;
  private actor: Actor | null = null;
  private readonly inputs: WorkInput[];
  private next = 0;
  private current: WorkInput | null = null;
  private isWritten = false;
  private failure: FailedDecision | null = null;
  private retried = false;
  private handlerCalls = 0;
  private messages: readonly Envelope[] = [];
  private timers: readonly TimerChange<TimerName>[] = [];
  private readonly skipped: { input: RoleInput; error: unknown }[] = [];

  constructor(
    readonly id: string, readonly key: SiteKey, inputs: readonly WorkInput[],
    private row: Row | null, private readonly memory: Memory | null, private readonly context: RunContext,
  ) {
    this.inputs = [...inputs];
  }

  /** Something can be done before a handler has run. */
  get isReady(): boolean {
    return this.call === null && this.next < this.inputs.length;
  }

  /** Something was or is to be done. */
  get isTouched(): boolean {
    return this.inputs.length > 0;
  }

  add(input: WorkInput): void {
    this.inputs.push(input);
  }

  /** Works off inputs until a handler is needed (`call`) or none is left. */
  advance(): void {
    while (this.isReady) this.take((this.current = this.inputs[this.next++]!));
  }

  executed(result: HandlerResult): void {
    const { action, operation } = this.call!;
    const actor = this.actor!;
    this.call = null;
    this.handlerCalls++;
    const effects = actor.executed(result, this.context.nowMs);
    if (effects !== null) return this.accept(effects);
    if (!applies(action) || result.ok || this.current?.input.kind !== 'MESSAGE') throw new Error(`${this.id}: ${action} failed, which nobody can repeat`);
    this.failure = { action, operation, again: actor.again(this.current.input.message), error: result.error };
    actor.undo();
  }

  outcome(): Outcome {
    const { id, key, row, messages, timers, failure, retried, handlerCalls, skipped, actor } = this;
    return {
      id, key, row, messages, timers, failure, retried, handlerCalls, skipped, written: this.isWritten, inputs: this.inputs.length,
      memory: actor?.memory() ?? null, fresh: actor?.fresh ?? true,
    };
  }

  private take({ role, input, isRetry }: WorkInput): void {
    let effects: Effects;
    try {
      effects = this.actorFor(role).step(input, this.context.nowMs);
    } catch (error) {
      // The machine is pure, so the same input would fail again: it is reported, and must not stop its neighbours.
      this.skipped.push({ input, error });
      return;
    }
    this.retried ||= isRetry;
    if (effects.run !== null && this.isHeldBack(effects.run.action, isRetry)) return this.actor!.undo();
    this.accept(effects);
  }

  /** The row says which protocol it is of; without one the message does. */
  private actorFor(role: RoleName): Actor {
    const { row, memory, context: { roles } } = this;
    const named = row?.table === 'branches' ? row.row.protocol : role;
    if (named !== role) throw new Error(`${this.id} is a branch of ${named}, not of ${role}`);
    if (this.actor?.role !== role) this.actor = roles[role].begin(row, memory);
    return this.actor;
  }

  private accept({ row, messages, timers, run }: Effects): void {
    if (run !== null) this.call = this.callOf(run);
    if (row !== null) {
      this.row = row;
      this.isWritten = true;
    }
    this.messages = join(this.messages, messages.filter((envelope) => !this.context.post(envelope)));
    this.timers = join(this.timers, timers);
  }

  private callOf(run: NonNullable<Effects['run']>): HandlerCall {
    const { key, actor } = this;
    const protocol = actor!.role;
    if (key.role !== 'branch' || protocol === 'acceptor' || protocol === 'leader') throw new Error(`${this.id}: only branches run handlers`);
    return { ...run, protocol, txid: key.txid, branch: key.branch };
  }

  /** A decision whose handler fails runs again when its backoff is over, however often it is told meanwhile. */
  private isHeldBack(action: HandlerCall['action'], isRetry: boolean): boolean {
    if (!applies(action)) return false;
    return this.failure !== null || (!isRetry && this.context.isParked(this.id));
  }
}

/** Most have one step only, whose effects need no copy. */
function join<T>(some: readonly T[], more: readonly T[]): readonly T[] {
  if (more.length === 0) return some;
  return some.length === 0 ? more : [...some, ...more];
}
