/**
 * Three-phase commit as textbooks have it: timeouts decide. Only for showing where it breaks; no service runs it, libs/protocol has the
 * quorum-based protocol in its place.
 *
 * The rules (Skeen, Nonblocking Commit Protocols, SIGMOD 1981, with his timeout and failure transitions; Bernstein, Hadzilacos, Goodman
 * 1987, 7.5): the coordinator collects votes, tells PRE_COMMIT, collects acknowledgements, tells COMMIT. Whoever waits too long
 *   - for votes (coordinator, waiting)               aborts
 *   - for PRE_COMMIT (participant, prepared)         aborts
 *   - for acknowledgements (coordinator, pre-committed) commits
 *   - for COMMIT (participant, pre-committed)        commits
 * and whoever restarts does the same. That is right if sites crash one at a time and no message is ever late: then all that are up are at
 * most one step apart. Under a partition one side may be prepared and the other pre-committed, and each decides by its own clock (AC1).
 */
import type { HandlerVote, OutcomeStatus, TimerChange, VoteKind } from '#libs/protocol';

export type TextbookState = 'waiting' | 'prepared' | 'pre-committed' | OutcomeStatus;

export interface TextbookMessage {
  readonly kind: 'PREPARE' | 'VOTE' | 'PRE_COMMIT' | 'PRE_ACK' | 'COMMIT' | 'ABORT';
  /** The participant that it goes to or comes from. */
  readonly branch: number;
  /** Of a VOTE. */
  readonly vote?: VoteKind;
}

export type TextbookInput =
  | { readonly kind: 'START' }
  | { readonly kind: 'RECOVER' }
  | { readonly kind: 'MESSAGE'; readonly message: TextbookMessage }
  | { readonly kind: 'TIMER'; readonly timer: 'decide'; readonly attempt: number };

export interface TextbookStep<Row> {
  readonly state: Row;
  /** The new row is durable before any message leaves. */
  readonly changed: boolean;
  readonly messages: readonly TextbookMessage[];
  readonly timers: readonly TimerChange<'decide'>[];
}

export interface TextbookCoordinator {
  readonly state: 'waiting' | 'pre-committed' | OutcomeStatus;
  /** By participant: has voted yes; then: has acknowledged PRE_COMMIT. In memory only. */
  readonly heard: readonly boolean[];
}

export interface TextbookBranch {
  readonly state: 'prepared' | 'pre-committed' | OutcomeStatus;
  readonly readOnly: boolean;
}

// ---------------------------------------------------------------- coordinator

/** @param state null: nothing begun here */
export function stepTextbookCoordinator(state: TextbookCoordinator | null, input: TextbookInput, branches: number, decideAtMs: number): TextbookStep<TextbookCoordinator | null> {
  const none = Array.from({ length: branches }, () => false);
  if (state === null) return input.kind === 'START' ? moved({ state: 'waiting', heard: none }, 'PREPARE', decideAtMs) : unmoved(state);
  if (state.state === 'committed' || state.state === 'aborted') return unmoved(state);
  if (input.kind === 'TIMER' || input.kind === 'RECOVER') return settled(state, state.state === 'waiting' ? 'aborted' : 'committed');
  if (input.kind !== 'MESSAGE') return unmoved(state);
  const { kind, branch, vote } = input.message;
  if (kind === 'VOTE' && vote === 'no' && state.state === 'waiting') return settled(state, 'aborted');
  if (kind !== (state.state === 'waiting' ? 'VOTE' : 'PRE_ACK')) return unmoved(state);
  const heard = state.heard.map((before, i) => before || i === branch);
  if (!heard.every(Boolean)) return unmoved({ ...state, heard });
  return state.state === 'waiting' ? moved({ state: 'pre-committed', heard: none }, 'PRE_COMMIT', decideAtMs) : settled(state, 'committed');
}

function moved(state: TextbookCoordinator, kind: 'PREPARE' | 'PRE_COMMIT', atMs: number): TextbookStep<TextbookCoordinator> {
  return { state, changed: true, messages: toAll(state, kind), timers: [{ set: 'decide', atMs, attempt: 0 }] };
}

function settled(before: TextbookCoordinator, outcome: OutcomeStatus): TextbookStep<TextbookCoordinator> {
  const state = { ...before, state: outcome };
  return { state, changed: true, messages: toAll(state, outcome === 'committed' ? 'COMMIT' : 'ABORT'), timers: [{ cancel: 'decide' }] };
}

function toAll({ heard }: TextbookCoordinator, kind: TextbookMessage['kind']): readonly TextbookMessage[] {
  return heard.map((_, branch) => ({ kind, branch }));
}

// ---------------------------------------------------------------- participant

/**
 * @param state null: no row
 * @param prepare runs the handler of the work, in this very step
 */
export function stepTextbookBranch(state: TextbookBranch | null, input: TextbookInput, branch: number, decideAtMs: number, prepare: () => HandlerVote): TextbookStep<TextbookBranch | null> {
  if (state === null) return first(input, branch, decideAtMs, prepare);
  const undecided = state.state === 'prepared' || state.state === 'pre-committed';
  if (input.kind === 'RECOVER') return undecided ? { ...unmoved(state), timers: [{ set: 'decide', atMs: decideAtMs, attempt: 0 }] } : unmoved(state);
  if (input.kind === 'TIMER') return undecided ? decided(state, state.state === 'prepared' ? 'aborted' : 'committed') : unmoved(state);
  if (input.kind !== 'MESSAGE') return unmoved(state);
  switch (input.message.kind) {
    case 'PREPARE':
      return { ...unmoved(state), messages: [voteOf(state, branch)] };
    case 'PRE_COMMIT': {
      const next = { ...state, state: 'pre-committed' } as const;
      return undecided ? { state: next, changed: true, messages: [{ kind: 'PRE_ACK', branch }], timers: [{ set: 'decide', atMs: decideAtMs, attempt: 0 }] } : unmoved(state);
    }
    case 'COMMIT':
      return undecided ? decided(state, 'committed') : unmoved(state);
    case 'ABORT':
      return undecided ? decided(state, 'aborted') : unmoved(state);
    default:
      return unmoved(state);
  }
}

function first(input: TextbookInput, branch: number, decideAtMs: number, prepare: () => HandlerVote): TextbookStep<TextbookBranch | null> {
  const kind = input.kind === 'MESSAGE' ? input.message.kind : null;
  if (kind === 'ABORT') return { state: { state: 'aborted', readOnly: false }, changed: true, messages: [], timers: [] };
  if (kind !== 'PREPARE') return unmoved(null);
  const { vote } = prepare();
  const state: TextbookBranch = { state: vote === 'no' ? 'aborted' : 'prepared', readOnly: vote === 'read-only' };
  return { state, changed: true, messages: [voteOf(state, branch)], timers: vote === 'no' ? [] : [{ set: 'decide', atMs: decideAtMs, attempt: 0 }] };
}

function decided(before: TextbookBranch, outcome: OutcomeStatus): TextbookStep<TextbookBranch> {
  return { state: { ...before, state: outcome }, changed: true, messages: [], timers: [{ cancel: 'decide' }] };
}

function voteOf({ state, readOnly }: TextbookBranch, branch: number): TextbookMessage {
  return { kind: 'VOTE', branch, vote: state === 'aborted' ? 'no' : readOnly ? 'read-only' : 'yes' };
}

function unmoved<Row>(state: Row): TextbookStep<Row> {
  return { state, changed: false, messages: [], timers: [] };
}
