/**
 * The coordinator of two-phase commit with presumed abort.
 *
 * Commit condition. A transaction of two or more branches is committed iff
 *   1. the write-once decision register of its txid holds COMMIT; or
 *   2. every branch voted read-only and END(committed) is durable (then no branch can tell the difference).
 * A transaction of one branch is committed iff
 *   3. its participant's branch row says so: the coordinator delegates the decision and only records what it is told.
 * COMMIT is proposed to the register only when every branch has voted yes or read-only, at least one of them yes (AC3), and
 * always then (AC4). The machine acts on what the register holds, never on what it proposed: of two owners of one
 * transaction the slower one obeys the faster one (AC1), and nothing overwrites the register (AC2).
 *
 * Failures, one by one:
 *   - crash before BEGIN is durable: no PREPARE has left, so the transaction never was.
 *   - crash after BEGIN, before DECIDE: RECOVER finds the register empty and proposes ABORT (COORDINATOR_RECOVERED). If an
 *     owner that was believed dead has put COMMIT there meanwhile, the register says so and COMMIT it is.
 *   - crash after DECIDE, before or while the decision is sent: RECOVER reads the register and sends it (again). Branches
 *     answer a repeated COMMIT or ABORT from their rows.
 *   - crash after END: nothing is owed. A branch that was told nothing (possible after ABORT, which is not acknowledged)
 *     inquires, and the runtime answers from the register or presumes abort through it.
 *   - a vote is lost or late: the prepare timeout proposes ABORT and names who is missing. A vote that comes after is ignored.
 *   - a COMMIT or its ACK is lost: COMMIT is repeated with exponential backoff until every yes-voter has acknowledged it; END
 *     is not written before, so a crash cannot forget a branch (AC5).
 *   - an ABORT is lost: the branch inquires. Under presumed abort an ABORT needs no ACK, so END follows at once, unless the
 *     client waits for `finished`; then ABORT asks for ACKs and is repeated like COMMIT.
 *   - a branch votes twice: the row makes it repeat itself. One change of mind is possible without a defect: yes, then NO,
 *     if a peer's word (cooperative termination) aborted the branch and a repeated PREPARE met it. A NO therefore counts
 *     whatever came before, as long as nothing is proposed; it can only abort. Any other change of mind is a defect.
 *   - a one-phase participant is silent (or the coordinator crashed, or the client cancels): the coordinator cannot know, so it
 *     asks for an abort (ABORT_ONE_PHASE) until told the outcome, which may be `committed`. After a crash it asks for the
 *     abort rather than for the work: the client may be gone, and undecided transactions of many branches abort then too.
 *     An operator's RESOLVE asks for the abort as well and never ends the transaction: a made-up outcome could differ from
 *     the row (AC1). Nobody is blocked by the open transaction; a one-phase branch never waits in doubt.
 *   - an operator resolves a decided transaction: END without the missing ACKs. The register still answers inquiries.
 *
 * Sources: Bernstein, Hadzilacos, Goodman, Concurrency Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5), 7.4
 * (the protocol, its timeout actions and its recovery). Mohan, Lindsay, Obermarck, Transaction Management in the R*
 * Distributed Database Management System, TODS 11(4) 1986, "The presumed abort protocol" (no ACK and no forced record for
 * aborts, read-only vote, inquiry about a forgotten transaction means abort). Gray, Notes on Data Base Operating Systems
 * (1978), two-phase commit. The write-once register in place of a log record is from Gray and Lamport, Consensus on
 * Transaction Commit, TODS 31(1) 2006, section 3 seen from one side: whoever may decide, the first write is the decision.
 */
import type { Decision, Reason, ToCoordinator, Vote } from '../messages.js';
import { ReasonCode } from '../messages.js';
import { NOTHING_OWED, UnexpectedInputError } from '../machine.js';
import type { CoordinatorIgnore } from './ignores.js';
import { blankProgress, progressFrom, replaceBranch, timeoutReason, voted } from './progress.js';
import {
  askOnePhaseAbort, decisionTo, endCommittedReadOnly, endOnePhase, finish, phaseTwo, propose, resendOnePhase, resendPhaseTwo, resendPrepares, settleAck, start,
  type Context,
} from './coordinator-effects.js';
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
type Registered = Extract<CoordinatorInput, { kind: 'REGISTERED' }>;

const MESSAGES: Table<ToCoordinator> = {
  VOTE: {
    preparing: countVote, deciding: ignore('late-vote'), committing: ignore('late-vote'), aborting: ignore('late-vote'),
    'one-phase': refuse, finished: ignore('late-vote'),
  },
  ACK: {
    preparing: ignore('early-ack'), deciding: ignore('early-ack'), committing: settle, aborting: settle,
    'one-phase': refuse, finished: ignore('repeated-ack'),
  },
  INQUIRY: {
    preparing: ignore('undecided-inquiry'), deciding: ignore('undecided-inquiry'), committing: answerInquiry, aborting: answerInquiry,
    'one-phase': refuse, finished: answerInquiry,
  },
  ONE_PHASE_OUTCOME: {
    preparing: refuse, deciding: refuse, committing: refuse, aborting: refuse,
    'one-phase': endOnePhase, finished: repeatedOutcome,
  },
};

const TIMERS: { readonly [T in CoordinatorTimer]: RulesFor<TimerInput> } = {
  'prepare-timeout': {
    preparing: (state, _timer, context) => propose(state, 'ABORT', timeoutReason(state), context),
    deciding: ignore('late-timer'), committing: ignore('late-timer'), aborting: ignore('late-timer'),
    'one-phase': (state, _timer, context) => (state.abortAsked ? dropped(state, 'late-timer') : askOnePhaseAbort(state, timeoutReason(state), context)),
    finished: ignore('late-timer'),
  },
  resend: {
    preparing: refuse, deciding: refuse,
    committing: (state, timer, context) => resendPhaseTwo(state, timer.attempt + 1, context),
    aborting: (state, timer, context) => resendPhaseTwo(state, timer.attempt + 1, context),
    'one-phase': (state, timer, context) => resendOnePhase(state, timer.attempt + 1, context),
    finished: ignore('late-timer'),
  },
};

const COMMANDS: Table<Command> = {
  REGISTERED: {
    preparing: refuse, deciding: obey, committing: repeatedRegister, aborting: repeatedRegister, 'one-phase': refuse, finished: repeatedRegister,
  },
  CANCEL: {
    preparing: (state, cancel, context) => propose(state, 'ABORT', cancel.reason, context),
    deciding: ignore('late-cancel'), committing: ignore('late-cancel'), aborting: ignore('late-cancel'),
    'one-phase': (state, cancel, context) => (state.abortAsked ? dropped(state, 'abort-already-asked') : askOnePhaseAbort(state, cancel.reason, context)),
    finished: ignore('late-cancel'),
  },
  RESOLVE: {
    preparing: (state, resolve, context) => propose(state, 'ABORT', resolve.reason, context),
    deciding: ignore('resolve-while-deciding'),
    committing: (state, _resolve, context) => finish(state, context),
    aborting: (state, _resolve, context) => finish(state, context),
    'one-phase': (state, resolve, context) => (state.abortAsked ? resendOnePhase(state, 0, context) : askOnePhaseAbort(state, resolve.reason, context)),
    finished: ignore('already-finished'),
  },
  RETRY_NOW: {
    preparing: (state, _retry, context) => resendPrepares(state, context),
    deciding: ignore('nothing-to-retry'),
    committing: (state, _retry, context) => resendPhaseTwo(state, 0, context),
    aborting: (state, _retry, context) => resendPhaseTwo(state, 0, context),
    'one-phase': (state, _retry, context) => resendOnePhase(state, 0, context),
    finished: ignore('already-finished'),
  },
};

// ---------------------------------------------------------------- creation

function create(input: CoordinatorInput, context: Context): CoordinatorStep {
  if (input.kind === 'START' && input.spec.branches.length > 0) return start(input.spec, context);
  if (input.kind === 'RECOVER') return recover(input, context);
  throw new UnexpectedInputError('coordinator', 'none', input.kind);
}

function recover(input: Extract<CoordinatorInput, { kind: 'RECOVER' }>, context: Context): CoordinatorStep {
  const { spec, register } = input;
  const reason = { code: ReasonCode.COORDINATOR_RECOVERED, detail: 'undecided when its coordinator was replaced' };
  const blank = {
    spec, branches: blankProgress(spec), outcome: null, reason: null, abortAsked: null, decidedAtMs: null, finishedAtMs: null,
  } as const;
  if (spec.branches.length === 1) {
    const state: CoordinatorState = { ...blank, phase: 'one-phase' };
    if (register) throw unexpected(state, `RECOVER with a register that holds ${register.decision}`);
    return askOnePhaseAbort(state, reason, context);
  }
  if (!register) return propose({ ...blank, phase: 'preparing' }, 'ABORT', reason, context);
  const state: CoordinatorState = { ...blank, phase: 'deciding' };
  return obey(state, { ...register, kind: 'REGISTERED' }, context);
}

// ---------------------------------------------------------------- phase one

function countVote(state: CoordinatorState, vote: Vote, context: Context): CoordinatorStep {
  const before = state.branches[vote.branch]!;
  if (before.vote === vote.vote) return dropped(state, 'repeated-vote');
  if (before.vote !== null && vote.vote !== 'no') throw unexpected(state, `VOTE ${vote.vote} after ${before.vote}`);
  const branch = voted(before, vote, state.spec.branches[vote.branch]!);
  const counted = { ...state, branches: replaceBranch(state.branches, vote.branch, branch) };
  if (branch.vote === 'no') return propose(counted, 'ABORT', branch.reason, context);
  if (counted.branches.some((other) => other.vote === null)) return { state: counted, ready: NOTHING_OWED };
  if (counted.branches.every((other) => other.vote === 'read-only')) return endCommittedReadOnly(counted, context);
  return propose(counted, 'COMMIT', null, context);
}

// ---------------------------------------------------------------- phase two

/** Does what the register says, whatever was proposed. */
function obey(state: CoordinatorState, input: Registered, context: Context): CoordinatorStep {
  const branches = input.branches ? progressFrom(state.spec, input.branches) : state.branches;
  if (input.decision === 'COMMIT' && branches.some((branch) => branch.vote === 'no')) throw unexpected(state, 'REGISTERED COMMIT in spite of a NO vote');
  return phaseTwo({ ...state, branches }, input.decision, registeredReason(input.decision, input.reason), input.atMs, context);
}

function registeredReason(decision: Decision, reason: Reason | null): Reason | null {
  if (decision === 'COMMIT') return null;
  return reason ?? { code: ReasonCode.NO_RECORD, detail: 'the register gives no reason' };
}

function settle(state: CoordinatorState, ack: { readonly branch: number }, context: Context): CoordinatorStep {
  return state.branches[ack.branch]!.acked ? dropped(state, 'repeated-ack') : settleAck(state, ack.branch, context);
}

function answerInquiry(state: CoordinatorState, inquiry: Extract<ToCoordinator, { kind: 'INQUIRY' }>): CoordinatorStep {
  const { participant } = state.spec.branches[inquiry.branch]!;
  if (participant !== inquiry.participant) throw unexpected(state, `INQUIRY of ${inquiry.participant} about a branch of ${participant}`);
  const answered = decisionTo(state, [inquiry.branch]);
  return { state: answered.state, ready: { records: [], messages: answered.messages, timers: [] } };
}

function repeatedRegister(state: CoordinatorState, input: Registered): CoordinatorStep {
  const held = state.outcome === 'committed' ? 'COMMIT' : 'ABORT';
  if (held !== input.decision) throw unexpected(state, `REGISTERED ${input.decision} after ${held}`);
  return dropped(state, 'repeated-register');
}

function repeatedOutcome(state: CoordinatorState, message: Extract<ToCoordinator, { kind: 'ONE_PHASE_OUTCOME' }>): CoordinatorStep {
  if (state.outcome !== message.outcome) throw unexpected(state, `ONE_PHASE_OUTCOME ${message.outcome} after ${state.outcome}`);
  return dropped(state, 'repeated-one-phase-outcome');
}

// ---------------------------------------------------------------- dispatch

function receive(state: CoordinatorState, message: ToCoordinator, context: Context): CoordinatorStep {
  const onePhase = state.spec.branches.length === 1;
  if (message.txid !== state.spec.txid) throw unexpected(state, `${message.kind} of another transaction`);
  if (!(message.branch in state.branches)) throw unexpected(state, `${message.kind} of branch ${message.branch}`);
  if (onePhase !== (message.kind === 'ONE_PHASE_OUTCOME')) throw unexpected(state, message.kind);
  return dispatch(MESSAGES, state, message, context);
}

/** The table's type pairs every kind with the rule for just that kind, which TypeScript cannot follow through an index. */
function dispatch<Input extends { readonly kind: string }>(table: Table<Input>, state: CoordinatorState, input: Input, context: Context): CoordinatorStep {
  const rules = table[input.kind as Input['kind']] as RulesFor<Input>;
  return rules[state.phase](state, input, context);
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
  return new UnexpectedInputError('coordinator', `${state.phase} (${state.spec.txid})`, input);
}
