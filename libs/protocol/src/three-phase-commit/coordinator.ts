/**
 * The coordinator of quorum-based three-phase commit (E3PC), as the first coordinator and as a site like any other.
 *
 * Commit condition: a majority of the sites has followed one attempt to commit (resolver.ts, which also says why that is safe).
 * The first attempt is this machine's: only with every vote yes or read-only (AC3), and always then (AC4), and only by the owner that
 * collected the votes. Its row is a site's row: `waiting` until then, and `committed` or `aborted` for good (AC2).
 *
 * Why it may abort alone while its row says `waiting`, whatever it may have been asked. The first pre-committed site of a transaction is
 * the coordinator, for PRE_COMMIT leaves after its row is durable, and a resolver attempts to commit only if it finds a pre-committed
 * site. So while the row says `waiting` no attempt to commit exists. The row turns `aborted` in one write, which every later write
 * finds; a rival owner of the shard that is about to write `pre-committed` over it is refused, because its epoch is over. Hence an
 * election that reaches a waiting coordinator is answered `aborted`: a promise would end the hope for COMMIT just as well.
 *
 * Failures, one by one:
 *   - crash before BEGIN is durable: no PREPARE has left, so the transaction never was.
 *   - a client sends its request to two owners: one BEGIN is refused. Until BEGUN this machine has done nothing, and it takes no message
 *     for its own: it must not abort in memory what the other owner may commit.
 *   - crash while waiting: the new owner aborts alone (COORDINATOR_RECOVERED). It never continues the voting: votes that it did not see
 *     may be lost, and the participants will not wait.
 *   - crash after the first attempt: the new owner stands for election at once, as any site would. It never continues as first coordinator:
 *     it does not know who followed, and a majority may have promised to follow somebody else since.
 *   - crash after the decision: the new owner tells it again; branches answer a repetition from their rows.
 *   - crash after END: nothing is owed, and the row stays: whoever asks late (a branch that missed an ABORT) is answered from it.
 *   - a vote is lost or late, a NO, a cancel: ABORT while waiting. Afterwards no timeout, client or operator can abort: only a majority can.
 *   - no majority acknowledges the attempt: the `resolve` timer starts an election, with backoff, until a majority answers.
 *   - a resolver was faster: its PRE_COMMIT or PRE_ABORT is followed, its COMMIT or ABORT recorded and told on.
 *   - a COMMIT or its ACK is lost: repeated with exponential backoff until every branch has acknowledged it (AC5). ABORT is not, unless
 *     the client waits for `finished`: who misses it resolves, and finds this row or another that says `aborted`.
 *   - a branch changes its mind: yes, then NO, if it was aborted by a resolver and a repeated PREPARE met that. A NO counts
 *     whatever came before, while votes count at all. Any other change of mind is a defect.
 *   - two owners: every write carries the epoch. An owner whose epoch is over can repeat what was durable, and nothing else.
 *
 * Sources: Keidar, Dolev, Increasing the Resilience of Atomic Commit, at No Additional Cost, PODS 1995. Skeen, Nonblocking Commit
 * Protocols, SIGMOD 1981 (why a third phase), and A Quorum-Based Commit Protocol, 1982. Bernstein, Hadzilacos, Goodman, Concurrency
 * Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5) and 7.5 (three-phase commit and its communication failures).
 */
import { NOTHING_OWED, UnexpectedInputError } from '../machine.js';
import type { Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import { blankProgress, replaceBranch, timeoutReason, voted } from '../two-phase-commit/progress.js';
import {
  abortUnheard, answerFrom, askForVotes, beginRound, decide, finish, groupOf, preCommit, resendDecision, resendPrepares, settleAck, standForElection, start, step, tellDecision,
  type Context,
} from './coordinator-effects.js';
import { isFinal } from './election.js';
import type { CoordinatorIgnore } from './ignores.js';
import type { Abort, PreAbort, PreAck, Refused, StateReply, StateRequest, ToCoordinator, Vote } from './messages.js';
import { hearPreAck, hearRefusal, hearReply, type Heard } from './resolver.js';
import { answerAttempt, answerRequest, type Attempted } from './site.js';
import type { CoordinatorConfig, CoordinatorInput, CoordinatorPhase, CoordinatorState, CoordinatorStep, CoordinatorTimer } from './types.js';

/**
 * One step of the coordinator. Pure: same arguments, same result; nothing is mutated.
 * @param state null before START or RECOVER
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepCoordinator(state: CoordinatorState | null, input: CoordinatorInput, nowMs: number, config: CoordinatorConfig): CoordinatorStep {
  const context = { nowMs, config };
  if (state === null) return create(input, context);
  switch (input.kind) {
    case 'MESSAGE':
      return receive(state, input.message, context);
    case 'TIMER':
      return TIMERS[input.timer][state.phase](state, input, context);
    case 'START':
    case 'RECOVER':
      throw unexpected(state, input.kind);
    default:
      return dispatch(COMMANDS, state, input, context);
  }
}

// ---------------------------------------------------------------- the rules, one per (input, phase)

type Rule<Input> = (state: CoordinatorState, input: Input, context: Context) => CoordinatorStep;
type RulesFor<Input> = { readonly [P in CoordinatorPhase]: Rule<Input> };
type Table<Input extends { readonly kind: string }> = { readonly [K in Input['kind']]: RulesFor<Extract<Input, { kind: K }>> };

type TimerInput = Extract<CoordinatorInput, { kind: 'TIMER' }>;
type Command = Exclude<CoordinatorInput, { kind: 'MESSAGE' | 'TIMER' | 'START' | 'RECOVER' }>;

/** Nothing was sent, so nobody answers this owner. */
const elsewhere = { beginning: ignore('begun-elsewhere') };

const MESSAGES: Table<ToCoordinator> = {
  VOTE: { ...elsewhere, preparing: countVote, ...undecidedOrNot(ignore('late-vote'), ignore('late-vote')) },
  ACK: { ...elsewhere, preparing: ignore('early-ack'), resolving: ignore('early-ack'), committing: settle, aborting: settle, finished: ignore('repeated-ack') },
  STATE_REQUEST: { ...elsewhere, preparing: abortForElection, ...undecidedOrNot(promise, promise) },
  PRE_COMMIT: { ...elsewhere, preparing: refuse, ...undecidedOrNot(follow, follow) },
  PRE_ABORT: { ...elsewhere, preparing: abortForElection, ...undecidedOrNot(follow, follow) },
  COMMIT: {
    ...elsewhere, preparing: refuse,
    ...undecidedOrNot((state, _commit, context) => decide(state, 'COMMIT', null, context), known('committed', 'repeated-decision')),
  },
  ABORT: {
    ...elsewhere, preparing: abortFor,
    ...undecidedOrNot<Abort>(abortFor, known('aborted', 'repeated-decision')),
  },
  STATE_REPLY: { ...elsewhere, preparing: refuse, ...undecidedOrNot(countReply, compare) },
  PRE_ACK: { ...elsewhere, preparing: refuse, ...undecidedOrNot(countPreAck, compare) },
  REFUSED: { ...elsewhere, preparing: refuse, ...undecidedOrNot(stepBack, ignore('late-reply')) },
};

const TIMERS: { readonly [T in CoordinatorTimer]: RulesFor<TimerInput> } = {
  'prepare-timeout': {
    beginning: refuse,
    preparing: (state, _timer, context) => decide(state, 'ABORT', timeoutReason(state), context),
    ...undecidedOrNot<TimerInput>(ignore('late-timer'), ignore('late-timer')),
  },
  resolve: {
    beginning: refuse, preparing: refuse,
    ...undecidedOrNot<TimerInput>((state, timer, context) => standForElection(state, timer.attempt + 1, context), ignore('late-timer')),
  },
  resend: {
    beginning: refuse, preparing: refuse, resolving: refuse,
    committing: (state, timer, context) => resendDecision(state, timer.attempt + 1, context),
    aborting: (state, timer, context) => resendDecision(state, timer.attempt + 1, context),
    finished: ignore('late-timer'),
  },
};

const COMMANDS: Table<Command> = {
  BEGUN: {
    beginning: (state, _begun, context) => (state.abortAsked ? abortUnheard(state, state.abortAsked, context) : askForVotes(state, context)),
    preparing: refuse, ...undecidedOrNot<Command>(refuse, refuse),
  },
  CANCEL: {
    beginning: askAbort, preparing: abortFor,
    ...undecidedOrNot<unknown>(ignore('late-cancel'), ignore('late-cancel')),
  },
  RESOLVE: {
    beginning: askAbort, preparing: abortFor,
    resolving: ignore('resolve-undecided'),
    committing: (state, _resolve, context) => finish(state, context),
    aborting: (state, _resolve, context) => finish(state, context),
    finished: ignore('already-finished'),
  },
  RETRY_NOW: {
    beginning: ignore('nothing-to-retry'),
    preparing: (state) => resendPrepares(state),
    resolving: (state, _retry, context) => standForElection(state, 0, context),
    committing: (state, _retry, context) => resendDecision(state, 0, context),
    aborting: (state, _retry, context) => resendDecision(state, 0, context),
    finished: ignore('already-finished'),
  },
};

// ---------------------------------------------------------------- creation

function create(input: CoordinatorInput, context: Context): CoordinatorStep {
  if (input.kind === 'START' && input.spec.branches.length > 1) return start(input.spec);
  if (input.kind === 'RECOVER') return recover(input, context);
  throw new UnexpectedInputError('three-phase coordinator', 'none', input.kind);
}

function recover({ spec, site, branches, decidedAtMs, finished }: Extract<CoordinatorInput, { kind: 'RECOVER' }>, context: Context): CoordinatorStep {
  const known = branches.length > 0 ? branches : blankProgress(spec);
  const state: CoordinatorState = { spec, phase: 'preparing', site, branches: known, abortAsked: null, round: null, seen: 0, decidedAtMs: null, finishedAtMs: null };
  if (isFinal(site.state)) {
    const decided: CoordinatorState = { ...state, phase: site.state === 'committed' ? 'committing' : 'aborting', decidedAtMs: decidedAtMs ?? context.nowMs };
    if (finished) return step({ ...decided, phase: 'finished', finishedAtMs: decided.decidedAtMs }, {});
    return tellDecision(decided, {}, context);
  }
  if (site.state !== 'waiting') return standForElection(state, 0, context);
  return decide(state, 'ABORT', { code: ReasonCode.COORDINATOR_RECOVERED, detail: 'voting when its coordinator was replaced' }, context);
}

// ---------------------------------------------------------------- phase one

function countVote(state: CoordinatorState, vote: Vote, context: Context): CoordinatorStep {
  const before = state.branches[vote.from]!;
  if (before.vote === vote.vote) return dropped(state, 'repeated-vote');
  if (before.vote !== null && vote.vote !== 'no') throw unexpected(state, `VOTE ${vote.vote} after ${before.vote}`);
  const { reason, result } = vote;
  const said = { kind: 'VOTE', txid: vote.txid, branch: vote.from, vote: vote.vote, ...(reason && { reason }), ...(result !== undefined && { result }) } as const;
  // A read-only voter stays a site: it is told the decision like the others. Only a NO has left with its vote.
  const branch = { ...voted(before, said, state.spec.branches[vote.from]!), acked: vote.vote === 'no' };
  const counted = { ...state, branches: replaceBranch(state.branches, vote.from, branch) };
  if (branch.vote === 'no') return decide(counted, 'ABORT', branch.reason, context);
  return counted.branches.some((other) => other.vote === null) ? step(counted, {}) : preCommit(counted, context);
}

/** Whoever resolves while votes are outstanding will find that nobody is pre-committed: the abort that follows begins here. */
function abortForElection(state: CoordinatorState, message: StateRequest | PreAbort, context: Context): CoordinatorStep {
  const reason: Reason = { code: ReasonCode.PEER_TERMINATION, detail: `asked by site ${message.from} before all had voted` };
  const aborted = { ...state.site, state: 'aborted', reason } as const;
  const answer = message.kind === 'STATE_REQUEST' ? answerRequest(aborted, message) : answerAttempt(aborted, message);
  return decide(state, 'ABORT', reason, context, answer.messages);
}

function abortFor(state: CoordinatorState, { reason }: { readonly reason: Reason }, context: Context): CoordinatorStep {
  return decide(state, 'ABORT', reason, context);
}

/** Not before BEGIN is durable: until then another owner's BEGIN may be, and that one decides. */
function askAbort(state: CoordinatorState, { reason }: { readonly reason: Reason }): CoordinatorStep {
  return state.abortAsked ? dropped(state, 'abort-already-asked') : step({ ...state, abortAsked: reason }, {});
}

// ---------------------------------------------------------------- as a site

function promise(state: CoordinatorState, request: StateRequest, context: Context): CoordinatorStep {
  return answerFrom(state, answerRequest(state.site, request), context);
}

function follow(state: CoordinatorState, attempt: Attempted, context: Context): CoordinatorStep {
  return answerFrom(state, answerAttempt(state.site, attempt), context);
}

// ---------------------------------------------------------------- as a resolver

function countReply(state: CoordinatorState, reply: StateReply, context: Context): CoordinatorStep {
  return heard(state, hearReply(groupOf(state), state.site, state.round, reply), context);
}

function countPreAck(state: CoordinatorState, ack: PreAck, context: Context): CoordinatorStep {
  return heard(state, hearPreAck(groupOf(state), state.round, ack), context);
}

function heard(state: CoordinatorState, result: Heard, context: Context): CoordinatorStep {
  switch (result.kind) {
    case 'counted': return step({ ...state, round: result.round }, {});
    case 'attempts': return beginRound(state, result, [], context);
    case 'decided': return decide(state, result.decision, result.reason, context);
    case 'dropped': return dropped(state, result.rule);
  }
}

function stepBack(state: CoordinatorState, refused: Refused): CoordinatorStep {
  const result = hearRefusal(state.round, state.seen, refused);
  return typeof result === 'string' ? dropped(state, result) : step({ ...state, ...result }, {});
}

// ---------------------------------------------------------------- phase three

function settle(state: CoordinatorState, ack: { readonly from: number }, context: Context): CoordinatorStep {
  return state.branches[ack.from]!.acked ? dropped(state, 'repeated-ack') : settleAck(state, ack.from, context);
}

/** Another site has decided too: the same, or a defect (AC1). */
function known(outcome: 'committed' | 'aborted', rule: CoordinatorIgnore): Rule<{ readonly kind: string }> {
  return (state, message) => {
    if (state.site.state !== outcome) throw unexpected(state, message.kind);
    return dropped(state, rule);
  };
}

function compare(state: CoordinatorState, reply: StateReply | PreAck): CoordinatorStep {
  if (isFinal(reply.state) && reply.state !== state.site.state) throw unexpected(state, `${reply.kind} ${reply.state} of site ${reply.from}`);
  return dropped(state, 'late-reply');
}

// ---------------------------------------------------------------- dispatch

/** A message of a site that is none of this transaction's is a defect of its sender. */
function receive(state: CoordinatorState, message: ToCoordinator, context: Context): CoordinatorStep {
  const self = state.branches.length;
  if (message.txid !== state.spec.txid) throw unexpected(state, `${message.kind} of another transaction`);
  if (message.to !== self || !(message.from in state.branches)) throw unexpected(state, `${message.kind} from site ${message.from} to site ${message.to}`);
  return dispatch(MESSAGES, state, message, context);
}

/** The table's type pairs every kind with the rule for just that kind, which TypeScript cannot follow through an index. */
function dispatch<Input extends { readonly kind: string }>(table: Table<Input>, state: CoordinatorState, input: Input, context: Context): CoordinatorStep {
  const rules = table[input.kind as Input['kind']] as RulesFor<Input>;
  return rules[state.phase](state, input, context);
}

/** The phases after voting: one rule for the one that is undecided, one for those that are decided. */
function undecidedOrNot<Input>(resolving: Rule<Input>, decided: Rule<Input>) {
  return { resolving, committing: decided, aborting: decided, finished: decided };
}

function ignore(rule: CoordinatorIgnore): Rule<unknown> {
  return (state) => dropped(state, rule);
}

function dropped(state: CoordinatorState, rule: CoordinatorIgnore): CoordinatorStep {
  return { state, ready: NOTHING_OWED, ignored: rule };
}

function refuse(state: CoordinatorState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: CoordinatorState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('three-phase coordinator', `${state.phase} (${state.spec.txid})`, input);
}

