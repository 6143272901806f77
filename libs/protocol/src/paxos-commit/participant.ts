/**
 * One branch of Paxos Commit, at its participant.
 *
 * Commit condition, as this side sees it. A branch commits iff it is prepared and is told COMMIT, by whichever leader: leaders only pass on
 * what a majority of the acceptors has accepted in every instance (leader.ts). A YES is the branch's own proposal of `prepared` in ballot 0
 * of its instance, sent straight to the acceptors; nobody else may propose in that ballot. A NO goes to the coordinator alone and needs no
 * acceptor: the branch has proposed nothing and never will, so nothing but `aborted` can be chosen in its instance. A branch may abort
 * alone until its YES is durable (row `prepared`), and never after that (AC2). The row changes in the same local database transaction as
 * the data, so an effect and its row come together or not at all: at most one effect.
 *
 * Failures, one by one:
 *   - crash while the handler runs: its database transaction rolls back, no vote has left, the branch never was. PREPARE is
 *     redelivered by the transport, or the coordinator times out.
 *   - crash after the row is durable, before the vote leaves: RECOVER arms the timer that repeats it; a redelivered PREPARE does so at once.
 *   - the vote reaches some acceptors only, or one of the first F+1 is down: it is repeated to all 2F+1.
 *   - the decision is lost, or the coordinator is down: the branch asks the coordinator, and later the leader on its own site.
 *     It is blocked only while fewer than F+1 acceptors can be reached.
 *   - a read-only vote is lost: nobody repeats it, as its branch has left. The prepare timeout then aborts, or a leader finds the vote at
 *     another acceptor.
 *   - ABORT overtakes PREPARE: the abort is recorded, and the PREPARE is refused with ABORTED_BEFORE_PREPARE when it comes.
 *   - a branch that had voted YES and was aborted is asked again: it says NO. By then the transaction is aborted, so this NO is as true
 *     as one that was said first.
 *   - a message comes twice or late: answered from the row, or dropped under a named rule (ignores.ts). Handlers run once.
 *   - the row has been cleaned up (`rowsKeptMs`): a missing row proves nothing then. Only decided rows are cleaned up, so COMMIT
 *     and ABORT may be acknowledged; work of that age is neither run nor refused.
 *   - the decision contradicts the row (COMMIT after abort, ABORT after commit): an UnexpectedInputError, never obeyed.
 *
 * Sources: Gray and Lamport, Consensus on Transaction Commit, TODS 31(1) 2006, section 2 (the resource manager's states), 4.2 (a YES is
 * a 2a of ballot 0; an abort may be short-circuited), 4.3 (F+1 acceptors do). Bernstein, Hadzilacos,
 * Goodman, Concurrency Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5). Mohan, Lindsay, Obermarck, TODS 11(4) 1986 (read-only).
 */
import { UnexpectedInputError } from '../machine.js';
import { createdAtOf } from '../txid.js';
import type { BranchState, HandlerVote } from '../two-phase-commit/types.js';
import type { PaxosParticipantIgnore } from './ignores.js';
import type { PaxosAbort, ToPaxosParticipant } from './messages.js';
import {
  acknowledge, acknowledgeForgotten, armDoubt, pursue, recordAbort, recordCommit, recordEarlyAbort, recordVote, repeatRefusal, repeatVote, runDecision, runWork,
  type PaxosParticipantContext,
} from './participant-effects.js';
import type { PaxosParticipantConfig, PaxosParticipantInput, PaxosParticipantState, PaxosParticipantStep, PaxosParticipantTimer } from './types.js';

/**
 * One step of a branch. Pure: same arguments, same result; nothing is mutated. When `ready.run` is set, the handler runs
 * next and EXECUTED is the only input that may follow.
 * @param state `{ phase: 'none' }` when there is no row, `{ phase: 'stored', row }` when there is one
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepPaxosParticipant(state: PaxosParticipantState, input: PaxosParticipantInput, nowMs: number, config: PaxosParticipantConfig): PaxosParticipantStep {
  const context = { nowMs, config };
  if (state.phase === 'running') return input.kind === 'EXECUTED' ? executed(state, input.vote, context) : refuse(state, input);
  switch (input.kind) {
    case 'MESSAGE':
      return receive(state, input.message, context);
    case 'TIMER':
      return ruleFor(TIMERS[input.timer], state)(state, input, context);
    case 'RECOVER':
      return ruleFor(RECOVER, state)(state, input, context);
    case 'EXECUTED':
      return refuse(state, input);
  }
}

// ---------------------------------------------------------------- the rules, one per (input, state of the row)

type None = Extract<PaxosParticipantState, { phase: 'none' }>;
type Stored = Extract<PaxosParticipantState, { phase: 'stored' }>;
type Idle = None | Stored;
type Running = Extract<PaxosParticipantState, { phase: 'running' }>;

type Rule<State, Input> = (state: State, input: Input, context: PaxosParticipantContext) => PaxosParticipantStep;
/** `forgotten`: no row, but the transaction is so old that there may have been one. */
type RulesFor<Input> = { readonly [S in 'none' | 'forgotten']: Rule<None, Input> } & { readonly [S in BranchState]: Rule<Stored, Input> };
type MessageRules = { readonly [K in ToPaxosParticipant['kind']]: RulesFor<Extract<ToPaxosParticipant, { kind: K }>> };
type Waiting<Input> = { readonly none: Rule<None, Input> } & { readonly [S in BranchState]: Rule<Stored, Input> };
type TimerInput = Extract<PaxosParticipantInput, { kind: 'TIMER' }>;

const MESSAGES: MessageRules = {
  PREPARE: {
    none: (_state, prepare) => runWork(prepare),
    forgotten: ignore('too-old-to-tell'),
    prepared: ({ row }) => repeatVote(row), 'read-only': ({ row }) => repeatVote(row), aborted: ({ row }) => repeatRefusal(row), committed: ignore('decided-already'),
  },
  COMMIT: {
    none: refuse,
    forgotten: (_state, commit) => acknowledgeForgotten(commit),
    prepared: ({ row }, commit) => runDecision('commit', commit, row),
    committed: ({ row }) => acknowledge(row), aborted: refuse, 'read-only': refuse,
  },
  ABORT: {
    none: (_state, abort, context) => recordEarlyAbort(abort, context),
    forgotten: (state, abort) => (abort.ack ? acknowledgeForgotten(abort) : dropped(state, 'too-old-to-tell')),
    prepared: ({ row }, abort) => runDecision('abort', abort, row),
    committed: refuse, aborted: ackIfAsked('repeated-abort'), 'read-only': ackIfAsked('nothing-to-undo'),
  },
};

const TIMERS: { readonly [T in PaxosParticipantTimer]: Waiting<TimerInput> } = {
  'in-doubt': {
    none: ignore('late-timer'),
    prepared: ({ row }, timer, context) => pursue(row, timer.attempt, context),
    committed: ignore('late-timer'), aborted: ignore('late-timer'), 'read-only': ignore('late-timer'),
  },
};

const RECOVER: Waiting<PaxosParticipantInput> = {
  none: ignore('nothing-in-doubt'),
  prepared: ({ row }, _recover, context) => armDoubt(row, context),
  committed: ignore('nothing-in-doubt'), aborted: ignore('nothing-in-doubt'), 'read-only': ignore('nothing-in-doubt'),
};

// ---------------------------------------------------------------- handlers

function executed(state: Running, said: HandlerVote | null, context: PaxosParticipantContext): PaxosParticipantStep {
  const { trigger, row } = state;
  if (trigger.kind === 'PREPARE' && said) return recordVote(trigger, said, context);
  if (row === null || said !== null) throw unexpected(state, said ? `EXECUTED with the vote ${said.vote}` : 'EXECUTED without a vote');
  if (trigger.kind === 'COMMIT') return recordCommit(row, context);
  if (trigger.kind === 'ABORT') return recordAbort(row, trigger, context);
  throw unexpected(state, `EXECUTED ${state.action} for ${trigger.kind}`);
}

function ackIfAsked(rule: PaxosParticipantIgnore): Rule<Stored, PaxosAbort> {
  return (state, abort) => (abort.ack ? acknowledge(state.row) : dropped(state, rule));
}

// ---------------------------------------------------------------- dispatch

/** The table's type pairs every kind with the rules for just that kind, which TypeScript cannot follow through an index. */
function receive(state: Idle, message: ToPaxosParticipant, context: PaxosParticipantContext): PaxosParticipantStep {
  checkAddress(state, message, context);
  const rules = MESSAGES[message.kind] as RulesFor<ToPaxosParticipant>;
  if (state.phase === 'stored') return rules[state.row.state](state, message, context);
  return rules[mayBeForgotten(message, context) ? 'forgotten' : 'none'](state, message, context);
}

function ruleFor<Input>(rules: Waiting<Input>, state: Idle): Rule<Idle, Input> {
  return (state.phase === 'none' ? rules.none : rules[state.row.state]) as Rule<Idle, Input>;
}

/** A message for another branch is a defect of its sender. */
function checkAddress(state: Idle, message: ToPaxosParticipant, { config }: PaxosParticipantContext): void {
  if ('peers' in message && message.peers[message.branch] !== config.name) throw unexpected(state, `${message.kind} for ${message.peers[message.branch]}`);
  if (state.phase === 'none') return;
  const { txid, branch } = state.row;
  if (message.txid !== txid || message.branch !== branch) throw unexpected(state, `${message.kind} of another branch (${message.txid}/${message.branch})`);
}

function mayBeForgotten(message: ToPaxosParticipant, { nowMs, config }: PaxosParticipantContext): boolean {
  return config.rowsKeptMs !== undefined && nowMs - createdAtOf(message.txid) >= config.rowsKeptMs;
}

function ignore(rule: PaxosParticipantIgnore): Rule<Idle, unknown> {
  return (state) => dropped(state, rule);
}

function dropped(state: PaxosParticipantState, rule: PaxosParticipantIgnore): PaxosParticipantStep {
  return { state, ready: { records: [], messages: [], timers: [] }, ignored: rule };
}

function refuse(state: PaxosParticipantState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: PaxosParticipantState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('participant', describe(state), input);
}

function describe(state: PaxosParticipantState): string {
  switch (state.phase) {
    case 'none':
      return 'none';
    case 'running':
      return `running ${state.action} (${state.trigger.txid}/${state.trigger.branch})`;
    case 'stored':
      return `${state.row.state} (${state.row.txid}/${state.row.branch})`;
  }
}
