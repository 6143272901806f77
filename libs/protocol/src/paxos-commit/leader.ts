/**
 * The leader of Paxos Commit. The coordinator uses it from the client's START on; the leader role on each participant's site uses it to
 * find the decision when the coordinator stays silent.
 *
 * Commit condition. Every branch has its own instance of Paxos, all of them with the same 2F+1 acceptors. A transaction is
 *   1. committed iff for every branch a majority (F+1) of the acceptors accepted `prepared` or `read-only` in one ballot;
 *   2. aborted iff for some branch a majority accepted `aborted` in one ballot, or a branch voted NO (its row says `aborted`, and nothing
 *      but `aborted` can be chosen in its instance any more: its participant is the only one who may propose in ballot 0, and it does not).
 * The decision is made by the acceptors. A leader only learns it: no record of the coordinator decides anything, so the coordinator answers
 * its client from a majority of 2b's without a write in between.
 *
 * A leader of ballot (n, leader), n >= 1, reads first (1a, 1b) and writes then (2a, 2b). For each instance it proposes the value of the
 * greatest ballot that F+1 acceptors tell it, and `aborted` where they tell none. Any two majorities share an acceptor, and that one either
 * tells the value or refuses it from then on; so once a value is chosen, every later ballot proposes the same (AC1, AC2).
 *
 * Failures, one by one:
 *   - crash before BEGIN is durable: no PREPARE has left, so the transaction never was.
 *   - crash of the coordinator after BEGIN: RECOVER leads a new ballot and obeys what the acceptors say. Without END it never assumes
 *     an outcome: a leader elsewhere may have found either.
 *   - the coordinator is gone for good: a participant in doubt has the leader on its own site lead (LEAD). Nobody waits for the dead as
 *     long as F+1 acceptors live.
 *   - the prepare timeout, a cancel, an operator's resolve while undecided: no decree. The coordinator leads a ballot, free instances
 *     become `aborted`; if all had voted already, the outcome is `committed` in spite of the cancel.
 *   - a vote reaches only some acceptors: participants repeat it to all; a ballot led meanwhile finds it or aborts it, for everyone alike.
 *   - a 1b or 2b is lost: 1a and 2a are repeated with exponential backoff to those who have not answered.
 *   - two leaders at once: the one with the smaller ballot is refused, waits (longer each time, and differently at each site) and
 *     leads a ballot greater than the one it met. Safe at any rate; it ends once one of them has the time that a round trip takes.
 *   - crash of a leader in the middle of its ballot: whoever leads next finds what it wrote. It comes back with a greater `n`, because
 *     LEAD was durable before the first 1a. It must not lead the old ballot again: it may have proposed something in it.
 *   - two processes in front of one participant's database: they are one leader, so its LEAD is stored only over a smaller ballot. Who is
 *     refused has not led: it forgets the transaction and loads the row before it leads again.
 *   - a coordinator that was replaced and does not know it: its 2b's are as true as ever; BEGIN, LEAD and END are refused to it (fence).
 *   - COMMIT or its ACK is lost: the coordinator repeats COMMIT until every yes-voter has acknowledged it, END comes after that. ABORT is
 *     acknowledged only for a client that waits for `finished`. A leader elsewhere repeats the decision some times and rests.
 *
 * Sources: Gray and Lamport, Consensus on Transaction Commit, TODS 31(1) 2006, section 4.1 (Paxos), 4.2 (an instance per participant, ballot
 * 0 without a phase 1, one 2b for all instances, an abort may be short-circuited), 4.3 (costs; F+1 acceptors do), 5 (F=0 is two-phase
 * commit), appendix A.3 (the TLA+ specification that these rules follow: Phase1a, Phase2a, Decide). Lamport, Paxos Made Simple (2001), 2.2
 * and 2.4. Bernstein, Hadzilacos, Goodman, Concurrency Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5).
 */
import { NOTHING_OWED, UnexpectedInputError } from '../machine.js';
import { ReasonCode } from '../messages.js';
import { BALLOT_ZERO, sameBallot, type Ballot } from './ballot.js';
import type { PaxosLeaderIgnore } from './ignores.js';
import {
  continueBallot, countAcceptance, countPromise, decideByRefusal, finish, idle, lead, noteRefusal, repeatBallot, resendDecision, resendPrepares, settleAck, start,
  tellAgain, tellBranch, VOTE_NOT_FOUND,
  type LeaderContext,
} from './leader-effects.js';
import type { PaxosAck, PaxosInquiry, PaxosVote, Phase1b, Phase2b, Refused, ToPaxosLeader } from './messages.js';
import type { PaxosGroup, PaxosLeaderConfig, PaxosLeaderInput, PaxosLeaderPhase, PaxosLeaderState, PaxosLeaderStep, PaxosLeaderTimer } from './types.js';

/**
 * One step of a leader. Pure: same arguments, same result; nothing is mutated.
 * @param state null before START, LEAD or RECOVER; `restingLeader` after a restart on a participant's site
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepPaxosLeader(state: PaxosLeaderState | null, input: PaxosLeaderInput, nowMs: number, config: PaxosLeaderConfig): PaxosLeaderStep {
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
      if (state.spec === null) throw unexpected(state, input.kind);
      return dispatch(COMMANDS, state, input, context);
  }
}

/** The state of a leader on a participant's site after a restart: it waits until it is asked, and remembers the ballot of its LEAD record. */
export function restingLeader(group: PaxosGroup, ballot: Ballot): PaxosLeaderState {
  return { ...idle(group, null), ballot };
}

// ---------------------------------------------------------------- the rules, one per (input, phase)

type Rule<Input> = (state: PaxosLeaderState, input: Input, context: LeaderContext) => PaxosLeaderStep;
type RulesFor<Input> = { readonly [P in PaxosLeaderPhase]: Rule<Input> };
type Table<Input extends { readonly kind: string }> = { readonly [K in Input['kind']]: RulesFor<Extract<Input, { kind: K }>> };

type TimerInput = Extract<PaxosLeaderInput, { kind: 'TIMER' }>;
type Command = Exclude<PaxosLeaderInput, { kind: 'MESSAGE' | 'TIMER' | 'START' | 'RECOVER' }>;

/** Phases in which a leader has no client: what only coordinators get is refused there. */
const NOT_HERE = { telling: refuse, resting: refuse };
/** Phases of the coordinator alone. */
const COORDINATOR_ONLY = { preparing: refuse, committing: refuse, aborting: refuse, finished: refuse };
const LATE = ignore('late-reply');
const DECIDED = { committing: LATE, aborting: LATE, telling: LATE, resting: LATE, finished: LATE };

const MESSAGES: Table<ToPaxosLeader> = {
  PHASE_1B: { preparing: ignore('other-ballot'), reading: onPromise, writing: onLatePromise, ...DECIDED },
  PHASE_2B: { preparing: onAcceptance, reading: ignore('other-ballot'), writing: onAcceptance, ...DECIDED },
  REFUSED: { preparing: ignore('other-ballot'), reading: onRefusal, writing: onRefusal, ...DECIDED },
  VOTE: {
    preparing: onRefusedVote, reading: onRefusedVote, writing: onRefusedVote,
    committing: refuse, aborting: ignore('late-vote'), finished: onVoteAfterEnd, ...NOT_HERE,
  },
  ACK: {
    preparing: ignore('early-ack'), reading: ignore('early-ack'), writing: ignore('early-ack'),
    committing: settle, aborting: settle, finished: ignore('repeated-ack'), ...NOT_HERE,
  },
  INQUIRY: {
    preparing: ignore('undecided-inquiry'), reading: ignore('undecided-inquiry'), writing: ignore('undecided-inquiry'),
    committing: answerInquiry, aborting: answerInquiry, finished: answerInquiry, ...NOT_HERE,
  },
  LEAD: { ...COORDINATOR_ONLY, reading: ignore('already-leading'), writing: ignore('already-leading'), telling: ignore('already-leading'), resting: onLead },
};

const TIMERS: { readonly [T in PaxosLeaderTimer]: RulesFor<TimerInput> } = {
  'prepare-timeout': {
    preparing: (state, _timer, context) => lead(state, { code: ReasonCode.PREPARE_TIMEOUT }, 0, context),
    reading: ignore('late-timer'), writing: ignore('late-timer'), committing: ignore('late-timer'), aborting: ignore('late-timer'), finished: ignore('late-timer'),
    ...NOT_HERE,
  },
  ballot: {
    preparing: refuse,
    reading: (state, timer, context) => continueBallot(state, timer.attempt + 1, context),
    writing: (state, timer, context) => continueBallot(state, timer.attempt + 1, context),
    committing: ignore('late-timer'), aborting: ignore('late-timer'), finished: ignore('late-timer'), telling: ignore('late-timer'), resting: ignore('late-timer'),
  },
  resend: {
    preparing: refuse, reading: refuse, writing: refuse,
    committing: (state, timer, context) => resendDecision(state, timer.attempt + 1, context),
    aborting: (state, timer, context) => resendDecision(state, timer.attempt + 1, context),
    telling: (state, timer, context) => resendDecision(state, timer.attempt + 1, context),
    finished: ignore('late-timer'), resting: ignore('late-timer'),
  },
};

const COMMANDS: Table<Command> = {
  CANCEL: {
    preparing: (state, cancel, context) => lead(state, cancel.reason, 0, context),
    reading: ignore('already-leading'), writing: ignore('already-leading'),
    committing: ignore('late-cancel'), aborting: ignore('late-cancel'), finished: ignore('late-cancel'), ...NOT_HERE,
  },
  RESOLVE: {
    preparing: (state, resolve, context) => lead(state, resolve.reason, 0, context),
    reading: ignore('already-leading'), writing: ignore('already-leading'),
    committing: (state, _resolve, context) => finish(state, context),
    aborting: (state, _resolve, context) => finish(state, context),
    finished: ignore('already-finished'), ...NOT_HERE,
  },
  RETRY_NOW: {
    preparing: resendPrepares,
    reading: (state, _retry, context) => repeatBallot(state, context),
    writing: (state, _retry, context) => repeatBallot(state, context),
    committing: (state, _retry, context) => resendDecision(state, 0, context),
    aborting: (state, _retry, context) => resendDecision(state, 0, context),
    finished: ignore('already-finished'), ...NOT_HERE,
  },
};

// ---------------------------------------------------------------- creation

function create(input: PaxosLeaderInput, context: LeaderContext): PaxosLeaderStep {
  if (input.kind === 'START' && input.spec.branches.length > 1 && input.acceptors.length % 2 === 1) return start(input.spec, input.acceptors, context);
  if (input.kind === 'RECOVER') return recover(input, context);
  if (input.kind === 'MESSAGE' && input.message.kind === 'LEAD') return onLead(idle(groupOf(input.message), null), input.message, context);
  throw new UnexpectedInputError('leader', 'none', input.kind === 'MESSAGE' ? input.message.kind : input.kind);
}

/** The coordinator leads at once: nobody else may be there. */
function recover({ group, spec, ballot }: Extract<PaxosLeaderInput, { kind: 'RECOVER' }>, context: LeaderContext): PaxosLeaderStep {
  const loaded: PaxosLeaderState = { ...idle(group, spec), phase: 'resting', ballot: ballot ?? BALLOT_ZERO };
  return lead(loaded, { code: ReasonCode.COORDINATOR_RECOVERED, detail: 'undecided when its coordinator was replaced' }, 0, context);
}

function groupOf({ txid, peers, acceptors }: PaxosGroup): PaxosGroup {
  return { txid, peers, acceptors };
}

function onLead(state: PaxosLeaderState, _lead: unknown, context: LeaderContext): PaxosLeaderStep {
  return state.outcome === null ? lead(state, { code: VOTE_NOT_FOUND }, 0, context) : tellAgain(state, context);
}

// ---------------------------------------------------------------- replies of acceptors

function onPromise(state: PaxosLeaderState, reply: Phase1b, context: LeaderContext): PaxosLeaderStep {
  if (!sameBallot(reply.ballot, state.ballot)) return dropped(state, 'other-ballot');
  const acceptor = acceptorOf(state, reply);
  if (reply.accepted.length !== state.branches.length) throw unexpected(state, `PHASE_1B with ${reply.accepted.length} instances`);
  return state.promises[acceptor] === null ? countPromise(state, acceptor, reply.accepted, context) : dropped(state, 'repeated-reply');
}

function onLatePromise(state: PaxosLeaderState, reply: Phase1b): PaxosLeaderStep {
  return dropped(state, sameBallot(reply.ballot, state.ballot) ? 'late-reply' : 'other-ballot');
}

function onAcceptance(state: PaxosLeaderState, reply: Phase2b, context: LeaderContext): PaxosLeaderStep {
  if (!sameBallot(reply.ballot, state.ballot)) return dropped(state, 'other-ballot');
  const acceptor = acceptorOf(state, reply);
  const expected = state.values ?? reply.values;
  const asProposed = reply.values.length === state.branches.length && reply.values.every((value, i) => value === expected[i]);
  if (!asProposed) throw unexpected(state, `PHASE_2B ${reply.values.join(', ')}`);
  return state.accepts[acceptor] ? dropped(state, 'repeated-reply') : countAcceptance(state, acceptor, reply.values, context);
}

function onRefusal(state: PaxosLeaderState, reply: Refused): PaxosLeaderStep {
  if (!sameBallot(reply.ballot, state.ballot)) return dropped(state, 'other-ballot');
  acceptorOf(state, reply);
  return reply.promised.n > state.seenN ? noteRefusal(state, reply.promised.n) : dropped(state, 'repeated-reply');
}

function acceptorOf(state: PaxosLeaderState, { kind, acceptor }: Phase1b | Phase2b | Refused): number {
  const index = state.group.acceptors.indexOf(acceptor);
  if (index < 0) throw unexpected(state, `${kind} of ${acceptor}, which is no acceptor of this transaction`);
  return index;
}

// ---------------------------------------------------------------- messages of participants

function onRefusedVote(state: PaxosLeaderState, vote: PaxosVote, context: LeaderContext): PaxosLeaderStep {
  return decideByRefusal(state, vote.branch, vote.reason, context);
}

function onVoteAfterEnd(state: PaxosLeaderState): PaxosLeaderStep {
  if (state.outcome === 'committed') throw unexpected(state, 'VOTE no after the commit');
  return dropped(state, 'late-vote');
}

function settle(state: PaxosLeaderState, ack: PaxosAck, context: LeaderContext): PaxosLeaderStep {
  return state.branches[ack.branch]!.acked ? dropped(state, 'repeated-ack') : settleAck(state, ack.branch, context);
}

function answerInquiry(state: PaxosLeaderState, { branch, participant }: PaxosInquiry): PaxosLeaderStep {
  const expected = state.group.peers[branch];
  if (participant !== expected) throw unexpected(state, `INQUIRY of ${participant} about a branch of ${expected}`);
  return tellBranch(state, branch);
}

// ---------------------------------------------------------------- dispatch

function receive(state: PaxosLeaderState, message: ToPaxosLeader, context: LeaderContext): PaxosLeaderStep {
  if (message.txid !== state.group.txid) throw unexpected(state, `${message.kind} of another transaction`);
  if ('branch' in message && (state.spec === null || !(message.branch in state.branches))) throw unexpected(state, `${message.kind} of branch ${message.branch}`);
  if (message.kind === 'LEAD' && state.spec !== null) throw unexpected(state, message.kind);
  return dispatch(MESSAGES, state, message, context);
}

/** The table's type pairs every kind with the rule for just that kind, which TypeScript cannot follow through an index. */
function dispatch<Input extends { readonly kind: string }>(table: Table<Input>, state: PaxosLeaderState, input: Input, context: LeaderContext): PaxosLeaderStep {
  const rules = table[input.kind as Input['kind']] as RulesFor<Input>;
  return rules[state.phase](state, input, context);
}

function ignore(rule: PaxosLeaderIgnore): Rule<unknown> {
  return (state) => dropped(state, rule);
}

function dropped(state: PaxosLeaderState, rule: PaxosLeaderIgnore): PaxosLeaderStep {
  return { state, ready: NOTHING_OWED, ignored: rule };
}

function refuse(state: PaxosLeaderState, input: { readonly kind: string }): never {
  throw unexpected(state, input.kind);
}

function unexpected(state: PaxosLeaderState, input: string): UnexpectedInputError {
  return new UnexpectedInputError('leader', `${state.phase} (${state.group.txid})`, input);
}
