/**
 * One branch of quorum-based three-phase commit (E3PC), at its participant.
 *
 * Commit condition, as this side sees it. A branch commits iff it has voted yes or read-only and
 *   1. is told COMMIT, or `committed` by a site that it asked; or
 *   2. a majority of the sites has followed its own attempt to commit (resolver.ts, which also says why that is safe).
 * A branch may abort alone until its vote is durable (row `prepared`), and never after that (AC2). The row changes in the same
 * local database transaction as the data, so an effect and its row come together or not at all: at most one effect.
 *
 * Failures, one by one:
 *   - crash while the handler runs: its database transaction rolls back, no vote has left, the branch never was. PREPARE is
 *     redelivered by the transport, or the coordinator times out.
 *   - crash after the row is durable, before the vote leaves: the redelivered PREPARE is answered from the row.
 *   - a message comes twice or late: answered from the row, or dropped under a named rule (ignores.ts). Handlers run once.
 *   - ABORT, or an election, overtakes PREPARE: the abort is recorded, and the PREPARE is refused when it comes.
 *   - the decision is lost, or the coordinator is gone: the `resolve` timer of every undecided branch starts an election (resolver.ts).
 *     With a majority it ends; without one it goes on asking. It must not guess: textbook 3PC does, and splits under a partition.
 *   - crash while undecided: RECOVER arms the timer from the row; a round in progress is forgotten, its election is not.
 *   - crash while applying a decision: as undecided; who decided says so again when asked.
 *   - an old attempt arrives after a promise: REFUSED, with the promise, so that its sender can take a greater election.
 *   - the row has been cleaned up (`rowsKeptMs`): a missing row proves nothing then. Only decided rows are cleaned up, so COMMIT
 *     and ABORT may be acknowledged; work of that age is neither run nor refused, and a resolver is not answered.
 *   - the decision contradicts the row (COMMIT after abort, ABORT after commit): an UnexpectedInputError, never obeyed.
 *
 * A read-only branch stays a site: its promises count like any other's. It has no handler to run at the decision.
 *
 * Sources: Keidar, Dolev, Increasing the Resilience of Atomic Commit, at No Additional Cost, PODS 1995. Bernstein, Hadzilacos, Goodman,
 * Concurrency Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5) and 7.5. Skeen, Nonblocking Commit Protocols, SIGMOD 1981.
 */
import { UnexpectedInputError } from '../machine.js';
import { createdAtOf } from '../txid.js';
import type { HandlerVote } from '../two-phase-commit/types.js';
import { isFinal } from './election.js';
import type { ParticipantIgnore } from './ignores.js';
import type { Abort, Commit, PreAck, Refused, StateReply, StateRequest, ToParticipant } from './messages.js';
import {
  abortForElection, acknowledge, answerFrom, applyDecision, armResolve, beginRound, groupOf, recordDecision, recordEarlyAbort, recordVote, repeatVote,
  runWork, standForElection, step, toBeTold,
  type ParticipantContext, type Stored,
} from './participant-effects.js';
import { hearPreAck, hearRefusal, hearReply, type Heard } from './resolver.js';
import { answerAttempt, answerRequest, type Attempted } from './site.js';
import type { ParticipantConfig, ParticipantInput, ParticipantState, ParticipantStep, ParticipantTimer } from './types.js';

/**
 * One step of a branch. Pure: same arguments, same result; nothing is mutated. When `ready.run` is set, the handler runs
 * next and EXECUTED is the only input that may follow.
 * @param state `{ phase: 'none' }` when there is no row; after loading one, `{ phase: 'stored', row, round: null, seen: 0 }` and RECOVER
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepParticipant(state: ParticipantState, input: ParticipantInput, nowMs: number, config: ParticipantConfig): ParticipantStep {
  const context = { nowMs, config };
  if (state.phase === 'working' || state.phase === 'applying') return input.kind === 'EXECUTED' ? executed(state, input.vote, context) : refuse(state, input);
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

// ---------------------------------------------------------------- the rules, one per (input, standing of the branch)

type None = Extract<ParticipantState, { phase: 'none' }>;
type Idle = None | Stored;
type Running = Exclude<ParticipantState, Idle>;

type Rule<State, Input> = (state: State, input: Input, context: ParticipantContext) => ParticipantStep;
/** `undecided`: prepared, pre-committed or pre-aborted. */
type Standing = 'undecided' | 'committed' | 'aborted';
type Waiting<Input> = { readonly none: Rule<None, Input> } & { readonly [S in Standing]: Rule<Stored, Input> };
/** `forgotten`: no row, but the transaction is so old that there may have been one. */
type RulesFor<Input> = Waiting<Input> & { readonly forgotten: Rule<None, Input> };
type MessageRules = { readonly [K in ToParticipant['kind']]: RulesFor<Extract<ToParticipant, { kind: K }>> };
type TimerInput = Extract<ParticipantInput, { kind: 'TIMER' }>;

const MESSAGES: MessageRules = {
  PREPARE: {
    none: (_state, prepare) => runWork(prepare),
    forgotten: ignore('too-old-to-tell'),
    undecided: repeatVote, committed: repeatVote, aborted: repeatVote,
  },
  STATE_REQUEST: {
    none: (_state, request, context) => abortForElection(request, context),
    forgotten: ignore('too-old-to-tell'),
    undecided: promise, committed: promise, aborted: promise,
  },
  PRE_COMMIT: {
    none: refuse,
    forgotten: ignore('too-old-to-tell'),
    undecided: follow, committed: follow, aborted: follow,
  },
  PRE_ABORT: {
    none: (_state, attempt, context) => abortForElection(attempt, context),
    forgotten: ignore('too-old-to-tell'),
    undecided: follow, committed: follow, aborted: follow,
  },
  COMMIT: {
    none: refuse,
    forgotten: ackIfAsked('too-old-to-tell'),
    undecided: (state, message, context) => applyDecision(state.row, { decision: 'COMMIT', reason: null, ackTo: ackTo(message), tell: [] }, context),
    committed: ackIfAsked('repeated-decision'), aborted: refuse,
  },
  ABORT: {
    none: (_state, abort, context) => recordEarlyAbort(abort, context),
    forgotten: ackIfAsked('too-old-to-tell'),
    undecided: (state, message, context) => applyDecision(state.row, { decision: 'ABORT', reason: message.reason, ackTo: ackTo(message), tell: [] }, context),
    committed: refuse, aborted: ackIfAsked('repeated-decision'),
  },
  STATE_REPLY: { none: refuse, forgotten: ignore('too-old-to-tell'), undecided: countReply, committed: compare, aborted: compare },
  PRE_ACK: { none: refuse, forgotten: ignore('too-old-to-tell'), undecided: countPreAck, committed: compare, aborted: compare },
  REFUSED: { none: refuse, forgotten: ignore('too-old-to-tell'), undecided: stepBack, committed: ignore('late-reply'), aborted: ignore('late-reply') },
};

const TIMERS: { readonly [T in ParticipantTimer]: Waiting<TimerInput> } = {
  resolve: {
    none: ignore('late-timer'),
    undecided: (state, timer, context) => standForElection(state, timer.attempt + 1, context),
    committed: ignore('late-timer'), aborted: ignore('late-timer'),
  },
};

const RECOVER: Waiting<ParticipantInput> = {
  none: ignore('nothing-in-doubt'),
  undecided: (state, _recover, context) => armResolve(state, context),
  committed: ignore('nothing-in-doubt'), aborted: ignore('nothing-in-doubt'),
};

// ---------------------------------------------------------------- handlers

function executed(state: Running, said: HandlerVote | null, context: ParticipantContext): ParticipantStep {
  if (state.phase === 'working' && said) return recordVote(state.prepare, said, context);
  if (state.phase === 'applying' && !said) return recordDecision(state.row, state.verdict, context);
  throw unexpected(state, said ? `EXECUTED with the vote ${said.vote}` : 'EXECUTED without a vote');
}

// ---------------------------------------------------------------- as a site

function promise(state: Stored, request: StateRequest, context: ParticipantContext): ParticipantStep {
  return answerFrom(state, answerRequest(state.row, request), context);
}

function follow(state: Stored, attempt: Attempted, context: ParticipantContext): ParticipantStep {
  return answerFrom(state, answerAttempt(state.row, attempt), context);
}

// ---------------------------------------------------------------- as a resolver

function countReply(state: Stored, reply: StateReply, context: ParticipantContext): ParticipantStep {
  return heard(state, reply, hearReply(groupOf(state.row), state.row, state.round, reply), context);
}

function countPreAck(state: Stored, ack: PreAck, context: ParticipantContext): ParticipantStep {
  return heard(state, ack, hearPreAck(groupOf(state.row), state.round, ack), context);
}

function heard(state: Stored, message: StateReply | PreAck, result: Heard, context: ParticipantContext): ParticipantStep {
  switch (result.kind) {
    case 'counted': return step({ ...state, round: result.round }, {});
    case 'attempts': return beginRound(state, result, [], context);
    case 'dropped': return dropped(state, result.rule);
    case 'decided': {
      const tell = toBeTold(state.row, isFinal(message.state) ? message.from : null);
      return applyDecision(state.row, { decision: result.decision, reason: result.reason, ackTo: null, tell }, context);
    }
  }
}

function stepBack(state: Stored, refused: Refused): ParticipantStep {
  const result = hearRefusal(state.round, state.seen, refused);
  return typeof result === 'string' ? dropped(state, result) : step({ ...state, ...result }, {});
}

// ---------------------------------------------------------------- once decided

/** Another site has decided too: the same, or a defect (AC1). */
function compare(state: Stored, reply: StateReply | PreAck): ParticipantStep {
  if (isFinal(reply.state) && reply.state !== state.row.state) throw unexpected(state, `${reply.kind} ${reply.state} of site ${reply.from}`);
  return dropped(state, 'late-reply');
}

function ackTo(message: Commit | Abort): number | null {
  return message.ack ? message.from : null;
}

function ackIfAsked(rule: ParticipantIgnore): Rule<Idle, Commit | Abort> {
  return (state, message) => (message.ack ? acknowledge(state, message) : dropped(state, rule));
}

// ---------------------------------------------------------------- dispatch

/** The table's type pairs every kind with the rules for just that kind, which TypeScript cannot follow through an index. */
function receive(state: Idle, message: ToParticipant, context: ParticipantContext): ParticipantStep {
  checkAddress(state, message, context);
  const rules = MESSAGES[message.kind] as RulesFor<ToParticipant>;
  if (state.phase === 'stored') return rules[standingOf(state)](state, message, context);
  return rules[mayBeForgotten(message, context) ? 'forgotten' : 'none'](state, message, context);
}

function ruleFor<Input>(rules: Waiting<Input>, state: Idle): Rule<Idle, Input> {
  return (state.phase === 'none' ? rules.none : rules[standingOf(state)]) as Rule<Idle, Input>;
}

function standingOf({ row: { state } }: Stored): Standing {
  return isFinal(state) ? state : 'undecided';
}

/** A message for another branch, or from a site that is none of this transaction's, is a defect of its sender. */
function checkAddress(state: Idle, message: ToParticipant, { config }: ParticipantContext): void {
  const { kind, from, to } = message;
  if ('peers' in message && (message.peers[to] !== config.name || from > message.peers.length)) throw unexpected(state, `${kind} from site ${from} to site ${to}`);
  if (state.phase === 'none') return;
  const { txid, branch, peers } = state.row;
  const stranger = from === branch || (peers.length > 0 && from > peers.length);
  if (message.txid !== txid || to !== branch || stranger) throw unexpected(state, `${kind} from site ${from} to another branch (${message.txid}/${to})`);
}

function mayBeForgotten(message: ToParticipant, { nowMs, config }: ParticipantContext): boolean {
  return config.rowsKeptMs !== undefined && nowMs - createdAtOf(message.txid) >= config.rowsKeptMs;
}

function ignore(rule: ParticipantIgnore): Rule<Idle, unknown> {
  return (state) => dropped(state, rule);
}

function dropped(state: ParticipantState, rule: ParticipantIgnore): ParticipantStep {
  return { state, ready: { records: [], messages: [], timers: [] }, ignored: rule };
}

function refuse(state: ParticipantState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: ParticipantState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('three-phase participant', describe(state), input);
}

function describe(state: ParticipantState): string {
  switch (state.phase) {
    case 'none':
      return 'none';
    case 'working':
      return `working (${state.prepare.txid}/${state.prepare.to})`;
    case 'applying':
      return `applying ${state.verdict.decision} (${state.row.txid}/${state.row.branch})`;
    case 'stored':
      return `${state.row.state} (${state.row.txid}/${state.row.branch})`;
  }
}
