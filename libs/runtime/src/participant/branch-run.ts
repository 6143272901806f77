import {
  ReasonCode, stepParticipant,
  type BranchRow, type Envelope, type HandlerVote, type ParticipantConfig, type ParticipantInput, type ParticipantState, type ParticipantStep,
  type ParticipantTimer, type TimerChange, type ToParticipant,
} from '#libs/protocol';
import type { BranchKey, InboundBatch } from '../ports.js';
import { describeError } from './describe-error.js';
import type { HandlerCall, HandlerResult } from './types.js';

export interface BranchInput {
  readonly input: ParticipantInput;
  /** The repetition of a parked decision; all other attempts at it are held back. */
  readonly isRetry: boolean;
  /** Where the message came from; null for timers and repetitions. */
  readonly batch: InboundBatch | null;
}

/** Everything that one database transaction is to do for one branch, in order. */
export interface BranchWork {
  readonly id: string;
  readonly key: BranchKey;
  readonly inputs: readonly BranchInput[];
}

/** A commit or abort handler that failed. */
export interface FailedDecision {
  readonly action: 'commit' | 'abort';
  readonly operation: string;
  readonly trigger: ToParticipant;
  readonly error: unknown;
}

export interface BranchOutcome {
  readonly work: BranchWork;
  /** The branch's row now; null when there is none. */
  readonly row: BranchRow | null;
  /** Whether this transaction wrote the row. */
  readonly written: boolean;
  readonly messages: readonly Envelope[];
  readonly timers: readonly TimerChange<ParticipantTimer>[];
  readonly failure: FailedDecision | null;
  readonly handlerCalls: number;
  readonly skipped: readonly { readonly input: ParticipantInput; readonly error: unknown }[];
}

export interface BranchRunContext {
  readonly config: ParticipantConfig;
  readonly nowMs: number;
  /** True while a decision of this branch waits for its repetition. */
  isParked(id: string): boolean;
}

/** One branch inside one attempt at a database transaction: steps its machine until it needs a handler or is through. */
export class BranchRun {
  /** The handler that is to run next. */
  call: HandlerCall | null = null;
  private state: ParticipantState;
  private stateBefore: ParticipantState;
  private next = 0;
  private written: BranchRow | null = null;
  private failure: FailedDecision | null = null;
  private handlerCalls = 0;
  private readonly messages: Envelope[] = [];
  private readonly timers: TimerChange<ParticipantTimer>[] = [];
  private readonly skipped: { input: ParticipantInput; error: unknown }[] = [];

  constructor(private readonly work: BranchWork, row: BranchRow | null, private readonly context: BranchRunContext) {
    this.state = row === null ? { phase: 'none' } : { phase: 'stored', row };
    this.stateBefore = this.state;
  }

  /** True when `call` is to be run; false when all inputs are worked off. */
  advance(): boolean {
    while (this.call === null && this.next < this.work.inputs.length) this.take(this.work.inputs[this.next++]!);
    return this.call !== null;
  }

  executed(result: HandlerResult): void {
    const { action, operation } = this.call!;
    this.call = null;
    this.handlerCalls++;
    if (action !== 'commit' && action !== 'abort') return this.accept(this.step({ kind: 'EXECUTED', vote: voteOf(result) }));
    if (result.ok) return this.accept(this.step({ kind: 'EXECUTED', vote: null }));
    this.failure = { action, operation, trigger: (this.state as Extract<ParticipantState, { phase: 'running' }>).trigger, error: result.error };
    this.state = this.stateBefore;
  }

  outcome(): BranchOutcome {
    const { work, written, messages, timers, failure, handlerCalls, skipped } = this;
    const row = this.state.phase === 'stored' ? this.state.row : null;
    return { work, row, written: written !== null, messages, timers, failure, handlerCalls, skipped };
  }

  private take(input: BranchInput): void {
    let step: ParticipantStep;
    try {
      step = this.step(input.input);
    } catch (error) {
      // The machine is pure, so the same input would fail again: it is reported, and must not stop its neighbours.
      this.skipped.push({ input: input.input, error });
      return;
    }
    if (step.ready.run && this.isHeldBack(step.ready.run.action, input)) return;
    this.accept(step);
  }

  private step(input: ParticipantInput): ParticipantStep {
    return stepParticipant(this.state, input, this.context.nowMs, this.context.config);
  }

  private accept({ state, ready }: ParticipantStep): void {
    this.stateBefore = this.state;
    this.state = state;
    if (ready.run) this.call = { ...this.work.key, ...ready.run };
    for (const { row } of ready.records) this.written = row;
    this.messages.push(...ready.messages);
    this.timers.push(...ready.timers);
  }

  /** A decision whose handler fails runs again when its backoff is over, however often it is told meanwhile. */
  private isHeldBack(action: HandlerCall['action'], { isRetry }: BranchInput): boolean {
    if (action !== 'commit' && action !== 'abort') return false;
    return this.failure !== null || (!isRetry && this.context.isParked(this.work.id));
  }
}

function voteOf(result: HandlerResult): HandlerVote {
  if (!result.ok) return { vote: 'no', reason: { code: ReasonCode.HANDLER_FAILED, detail: describeError(result.error) } };
  return result.vote ?? { vote: 'no', reason: { code: ReasonCode.HANDLER_FAILED, detail: 'the handler returned no vote' } };
}
