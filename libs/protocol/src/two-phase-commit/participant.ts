/**
 * One branch of two-phase commit with presumed abort, at its participant.
 *
 * Commit condition, as this side sees it. A branch commits iff
 *   1. it is prepared and is told COMMIT by the coordinator; or
 *   2. it is prepared and a peer that has committed says so; or
 *   3. it is the only branch and its own handler says yes to PREPARE_AND_COMMIT (the row is the decision).
 * A branch may abort alone until its YES is durable (row `prepared`), and never after that (AC2). The row changes in the same
 * local database transaction as the data, so an effect and its row come together or not at all: at most one effect.
 *
 * Failures, one by one:
 *   - crash while the handler runs: its database transaction rolls back, no vote has left, the branch never was. PREPARE is
 *     redelivered by the transport, or the coordinator times out.
 *   - crash after the row is durable, before the vote leaves: the redelivered PREPARE is answered from the row.
 *   - a message comes twice or late: answered from the row, or dropped under a named rule (ignores.ts). Handlers run once.
 *   - ABORT overtakes PREPARE (another partition owner, a redelivery): the abort is recorded, and the PREPARE is refused with
 *     ABORTED_BEFORE_PREPARE when it comes. Otherwise the branch would prepare for a transaction that nobody remembers.
 *   - the decision is lost, or the coordinator is down: a prepared branch inquires after `inquireAfterMs` and then with
 *     exponential backoff; a forgotten transaction is presumed aborted by whoever answers for the coordinator.
 *   - the coordinator stays silent: after `askPeersAfterInquiries` inquiries the peers are asked too. A decided peer's word
 *     counts. A peer that has not voted records ABORT and says so: its vote can only be NO from then on, so COMMIT is out.
 *     If all that answer are uncertain, the branch is blocked and keeps asking: it must not guess.
 *   - crash while in doubt: RECOVER arms the inquiry from the row.
 *   - a one-phase abort races the work: whichever writes the row first wins, and both are answered with what the row says.
 *   - the row has been cleaned up (`rowsKeptMs`): a missing row proves nothing then. Only decided rows are cleaned up, so COMMIT
 *     and ABORT may be acknowledged; work of that age is neither run nor refused, and peers are told `uncertain`.
 *   - the decision contradicts the row (COMMIT after abort, ABORT after commit): an UnexpectedInputError, never obeyed.
 *
 * Sources: Bernstein, Hadzilacos, Goodman, Concurrency Control and Recovery in Database Systems (1987), 7.3 (AC1-AC5), 7.4
 * (uncertainty period, timeout actions, cooperative termination protocol, recovery). Skeen, Nonblocking Commit Protocols,
 * SIGMOD 1981 (why all-uncertain blocks). Mohan, Lindsay, Obermarck, Transaction Management in the R* Distributed Database
 * Management System, TODS 11(4) 1986, "The presumed abort protocol" (read-only votes, inquiry).
 */
import type { Abort, PeerInquiry, PeerState, ToParticipant } from '../messages.js';
import { ReasonCode } from '../messages.js';
import { UnexpectedInputError } from '../machine.js';
import { createdAtOf } from '../txid.js';
import type { ParticipantIgnore } from './ignores.js';
import {
  abortForPeer, acknowledge, acknowledgeForgotten, armInquiry, inquire, recordAbort, recordCommit, recordEarlyAbort, recordEarlyOnePhaseAbort,
  recordOnePhase, recordVote, repeatOutcome, repeatVote, runDecision, runWork, tellPeer, tellPeerNothing,
  type ParticipantContext,
} from './participant-effects.js';
import type { BranchRow, BranchState, HandlerVote, ParticipantConfig, ParticipantInput, ParticipantState, ParticipantStep, ParticipantTimer } from './types.js';

export { asksPeers } from './participant-effects.js';

/**
 * One step of a branch. Pure: same arguments, same result; nothing is mutated. When `ready.run` is set, the handler runs
 * next and EXECUTED is the only input that may follow.
 * @param state `{ phase: 'none' }` when there is no row, `{ phase: 'stored', row }` when there is one
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepParticipant(state: ParticipantState, input: ParticipantInput, nowMs: number, config: ParticipantConfig): ParticipantStep {
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

type None = Extract<ParticipantState, { phase: 'none' }>;
type Stored = Extract<ParticipantState, { phase: 'stored' }>;
type Idle = None | Stored;
type Running = Extract<ParticipantState, { phase: 'running' }>;

type Rule<State, Input> = (state: State, input: Input, context: ParticipantContext) => ParticipantStep;
/** `forgotten`: no row, but the transaction is so old that there may have been one. */
type RulesFor<Input> = { readonly [S in 'none' | 'forgotten']: Rule<None, Input> } & { readonly [S in BranchState]: Rule<Stored, Input> };
type MessageRules = { readonly [K in ToParticipant['kind']]: RulesFor<Extract<ToParticipant, { kind: K }>> };
type Waiting<Input> = { readonly none: Rule<None, Input> } & { readonly [S in BranchState]: Rule<Stored, Input> };
type TimerInput = Extract<ParticipantInput, { kind: 'TIMER' }>;

const fromRow = {
  vote: ({ row }: Stored) => repeatVote(row),
  outcome: ({ row }: Stored) => repeatOutcome(row),
  ack: ({ row }: Stored) => acknowledge(row),
};

const MESSAGES: MessageRules = {
  PREPARE: {
    none: (_state, prepare) => runWork('prepare', prepare),
    forgotten: ignore('too-old-to-tell'),
    prepared: fromRow.vote, committed: fromRow.vote, aborted: fromRow.vote, 'read-only': fromRow.vote,
  },
  PREPARE_AND_COMMIT: {
    none: (_state, message) => runWork('prepare-and-commit', message),
    forgotten: ignore('too-old-to-tell'),
    prepared: refuse, committed: fromRow.outcome, aborted: fromRow.outcome, 'read-only': fromRow.outcome,
  },
  COMMIT: {
    none: refuse,
    forgotten: (_state, commit) => acknowledgeForgotten(commit),
    prepared: ({ row }, commit) => runDecision('commit', commit, row),
    committed: fromRow.ack, aborted: refuse, 'read-only': fromRow.ack,
  },
  ABORT: {
    none: (_state, abort, context) => recordEarlyAbort(abort, context),
    forgotten: (state, abort) => (abort.ack ? acknowledgeForgotten(abort) : dropped(state, 'too-old-to-tell')),
    prepared: ({ row }, abort) => runDecision('abort', abort, row),
    committed: refuse, aborted: ackIfAsked('repeated-abort'), 'read-only': ackIfAsked('nothing-to-undo'),
  },
  ABORT_ONE_PHASE: {
    none: (_state, abort, context) => recordEarlyOnePhaseAbort(abort, context),
    forgotten: ignore('too-old-to-tell'),
    prepared: refuse, committed: fromRow.outcome, aborted: fromRow.outcome, 'read-only': fromRow.outcome,
  },
  PEER_INQUIRY: {
    none: (_state, inquiry, context) => abortForPeer(inquiry, context),
    forgotten: (_state, inquiry) => tellPeerNothing(inquiry),
    prepared: answerPeer, committed: answerPeer, aborted: answerPeer, 'read-only': answerPeer,
  },
  PEER_STATE: {
    none: refuse,
    forgotten: ignore('too-old-to-tell'),
    prepared: believePeer, committed: comparePeer, aborted: comparePeer, 'read-only': refuse,
  },
};

const TIMERS: { readonly [T in ParticipantTimer]: Waiting<TimerInput> } = {
  inquire: {
    none: ignore('late-timer'),
    prepared: ({ row }, timer, context) => inquire(row, timer.attempt, context),
    committed: ignore('late-timer'), aborted: ignore('late-timer'), 'read-only': ignore('late-timer'),
  },
};

const RECOVER: Waiting<ParticipantInput> = {
  none: ignore('nothing-in-doubt'),
  prepared: ({ row }, _recover, context) => armInquiry(row, context),
  committed: ignore('nothing-in-doubt'), aborted: ignore('nothing-in-doubt'), 'read-only': ignore('nothing-in-doubt'),
};

// ---------------------------------------------------------------- handlers

function executed(state: Running, said: HandlerVote | null, context: ParticipantContext): ParticipantStep {
  const { trigger, row } = state;
  if (trigger.kind === 'PREPARE' && said) return recordVote(trigger, said, context);
  if (trigger.kind === 'PREPARE_AND_COMMIT' && said) return recordOnePhase(trigger, said, context);
  if (row === null || said !== null) throw unexpected(state, said ? `EXECUTED with the vote ${said.vote}` : 'EXECUTED without a vote');
  if (state.action === 'commit') return recordCommit(row, context);
  if (trigger.kind === 'PEER_STATE') return recordAbort(row, peerReason(row, trigger), false, context);
  if (trigger.kind === 'ABORT') return recordAbort(row, trigger.reason, trigger.ack === true, context);
  throw unexpected(state, `EXECUTED ${state.action} for ${trigger.kind}`);
}

// ---------------------------------------------------------------- peers

function answerPeer({ row }: Stored, inquiry: PeerInquiry): ParticipantStep {
  return tellPeer(row, inquiry);
}

function believePeer(state: Stored, peer: PeerState): ParticipantStep {
  if (peer.state === 'uncertain') return dropped(state, 'peer-uncertain');
  return runDecision(peer.state === 'committed' ? 'commit' : 'abort', peer, state.row);
}

function comparePeer(state: Stored, peer: PeerState): ParticipantStep {
  if (peer.state === 'uncertain') return dropped(state, 'peer-uncertain');
  if (peer.state !== state.row.state) throw unexpected(state, `PEER_STATE ${peer.state} of branch ${peer.from}`);
  return dropped(state, 'peer-agrees');
}

function peerReason(row: BranchRow, peer: PeerState) {
  const participant = row.peers[peer.from];
  return { code: ReasonCode.PEER_TERMINATION, ...(participant !== undefined && { participant }), detail: `branch ${peer.from} has aborted` };
}

function ackIfAsked(rule: ParticipantIgnore): Rule<Stored, Abort> {
  return (state, abort) => (abort.ack ? acknowledge(state.row) : dropped(state, rule));
}

// ---------------------------------------------------------------- dispatch

/** The table's type pairs every kind with the rules for just that kind, which TypeScript cannot follow through an index. */
function receive(state: Idle, message: ToParticipant, context: ParticipantContext): ParticipantStep {
  checkAddress(state, message, context);
  const rules = MESSAGES[message.kind] as RulesFor<ToParticipant>;
  if (state.phase === 'stored') return rules[state.row.state](state, message, context);
  return rules[mayBeForgotten(message, context) ? 'forgotten' : 'none'](state, message, context);
}

function ruleFor<Input>(rules: Waiting<Input>, state: Idle): Rule<Idle, Input> {
  return (state.phase === 'none' ? rules.none : rules[state.row.state]) as Rule<Idle, Input>;
}

/** A message for another branch, or of the other kind of transaction, is a defect of its sender. */
function checkAddress(state: Idle, message: ToParticipant, { config }: ParticipantContext): void {
  if ('peers' in message && message.peers[message.branch] !== config.name) throw unexpected(state, `${message.kind} for ${message.peers[message.branch]}`);
  if (message.kind === 'PEER_INQUIRY' && !(message.from in message.peers)) throw unexpected(state, `PEER_INQUIRY of branch ${message.from}`);
  if (state.phase === 'none') return;
  const { txid, branch, onePhase } = state.row;
  if (message.txid !== txid || message.branch !== branch) throw unexpected(state, `${message.kind} of another branch (${message.txid}/${message.branch})`);
  if (onePhase !== (message.kind === 'PREPARE_AND_COMMIT' || message.kind === 'ABORT_ONE_PHASE')) throw unexpected(state, message.kind);
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
  return new UnexpectedInputError('participant', describe(state), input);
}

function describe(state: ParticipantState): string {
  switch (state.phase) {
    case 'none':
      return 'none';
    case 'running':
      return `running ${state.action} (${state.trigger.txid}/${state.trigger.branch})`;
    case 'stored':
      return `${state.row.state} (${state.row.txid}/${state.row.branch})`;
  }
}
