/**
 * An acceptor of Paxos Commit: one of 2F+1 witnesses of the votes.
 *
 * What it stands for. A value is chosen in a branch's instance iff a majority (F+1) of the acceptors have accepted it in one ballot; the
 * transaction is committed iff `prepared` or `read-only` is chosen in every branch's instance (leader.ts). An acceptor
 *   1. promises a ballot (1b) iff it has promised no greater one, and tells with the promise everything that it has accepted; and
 *   2. accepts a value (2b) iff it has promised no ballot greater than the value's.
 * Both are durable in its row before the answer leaves. One promise covers all instances of a transaction: a leader always leads all.
 *
 * Failures, one by one:
 *   - crash before the row is durable: no answer has left, so nobody counts on it. Votes of ballot 0 that waited in memory for their
 *     company are lost; participants repeat their vote until they hear the decision.
 *   - crash after the row, before the answer leaves: the 1a or 2a is repeated and answered from the row.
 *   - a message comes twice: answered from the row again. That is true also if the row has moved on: what was promised and accepted
 *     below a promised ballot does not change any more.
 *   - a vote of ballot 0 comes after a promise: dropped. Its leader may have found the instance free already and aborted it.
 *   - some, not all, votes of ballot 0 have come when a leader asks: they are accepted together with the promise (nothing forbids it
 *     yet), so that the leader finds them.
 *   - F acceptors are gone for good: any majority of the others intersects every majority that ever was.
 *   - the row has been cleaned up (`rowsKeptMs`): the acceptor might forget a promise, so it stays silent about transactions of that age.
 *     Those that have no END by then are stuck for good, as nothing else holds their decision: rows must outlive any outage.
 *   - the same database serves two processes, one of which may have an old row in memory: its write must not undo a promise. With the
 *     coordinator (F=0) the row is written under the owner's fence; on a participant's site it is locked and read again for every step.
 *     Answers without a write repeat what is durable and stay true.
 *
 * Sources: Gray and Lamport, Consensus on Transaction Commit, TODS 31(1) 2006, section 4.1 (Paxos), 4.2 (one instance per participant,
 * ballot 0 belongs to the participant, one 2b for all instances), 4.3 (one write per acceptor); Lamport, Paxos Made Simple
 * (2001), section 2.2 (what an acceptor must remember).
 */
import { UnexpectedInputError } from '../machine.js';
import { createdAtOf } from '../txid.js';
import { BALLOT_ZERO, compareBallots, sameBallot } from './ballot.js';
import type { AcceptorIgnore } from './ignores.js';
import type { Accepted, InstanceValue, LeaderAddress, Phase1a, Phase1b, Phase2a, Phase2b, Refused, ToAcceptor } from './messages.js';
import type { AcceptorConfig, AcceptorInput, AcceptorRow, AcceptorState, AcceptorStep } from './types.js';

interface Context {
  readonly nowMs: number;
  readonly config: AcceptorConfig;
}

/**
 * One step of an acceptor. Pure: same arguments, same result; nothing is mutated.
 * @param state null before the first message; after a restart `{ phase: 'stored', row }`, or null without a row
 * @param nowMs milliseconds since the epoch
 * @throws UnexpectedInputError when no rule covers the input in this state
 */
export function stepAcceptor(state: AcceptorState | null, input: AcceptorInput, nowMs: number, config: AcceptorConfig): AcceptorStep {
  const { message } = input;
  checkGroup(state, message);
  const context = { nowMs, config };
  if (state?.phase !== 'stored' && mayBeForgotten(message, context)) return dropped(state, 'too-old-to-promise');
  return (RULES[message.kind] as Rule<ToAcceptor>)(state, message, context);
}

// ---------------------------------------------------------------- the rules, one per message

type Rule<M> = (state: AcceptorState | null, message: M, context: Context) => AcceptorStep;

const RULES: { readonly [K in ToAcceptor['kind']]: Rule<Extract<ToAcceptor, { kind: K }>> } = {
  PHASE_1A: promise,
  PHASE_2A: (state, proposal, context) => (sameBallot(proposal.ballot, BALLOT_ZERO) ? gather(state, proposal, context) : accept(state, proposal, context)),
};

function promise(state: AcceptorState | null, { txid, peers, ballot, leader }: Phase1a, { config }: Context): AcceptorStep {
  if (state?.phase !== 'stored') return promised({ txid, peers, promised: ballot, accepted: acceptedSoFar(state, peers.length) }, leader, config, true);
  const { row } = state;
  const order = compareBallots(ballot, row.promised);
  if (order < 0) return refused(row, ballot, leader, config);
  return promised(order === 0 ? row : { ...row, promised: ballot }, leader, config, order > 0);
}

/** The participants' own ballot: the row is written once all votes are there. */
function gather(state: AcceptorState | null, proposal: Phase2a, { config }: Context): AcceptorStep {
  if (state?.phase === 'stored') return gatherLate(state, proposal, config);
  const { txid, peers, leader } = proposal;
  const before = state?.values ?? peers.map(() => null);
  const values = before.map((value, i) => value ?? proposal.values[i]!);
  proposal.values.forEach((value, i) => {
    if (value !== null && value !== values[i]) throw unexpected(state, `PHASE_2A ${value} after ${values[i]} of branch ${i}`);
  });
  const repeated = values.every((value, i) => value === before[i]);
  if (isComplete(values)) return accepted(rowOf(proposal, values), leader, config, true);
  if (repeated) return dropped(state, 'repeated-vote');
  return { state: { phase: 'gathering', txid, peers, values }, ready: NOTHING };
}

/** A row without a promise holds all votes of ballot 0: the 2b is repeated, as nobody would repeat a vote that has been heard. */
function gatherLate(state: Stored, proposal: Phase2a, config: AcceptorConfig): AcceptorStep {
  const { row } = state;
  if (!sameBallot(row.promised, BALLOT_ZERO)) return dropped(state, 'ballot-passed');
  proposal.values.forEach((value, i) => {
    if (value !== null && value !== row.accepted[i]?.value) throw unexpected(state, `PHASE_2A ${value} after ${row.accepted[i]?.value} of branch ${i}`);
  });
  return accepted(row, proposal.leader, config, false);
}

function accept(state: AcceptorState | null, proposal: Phase2a, { config }: Context): AcceptorStep {
  const { values, ballot, leader } = proposal;
  if (!isComplete(values)) throw unexpected(state, 'PHASE_2A of a leader that leaves branches out');
  if (state?.phase !== 'stored') return accepted(rowOf(proposal, values), leader, config, true);
  const { row } = state;
  if (compareBallots(ballot, row.promised) < 0) return refused(row, ballot, leader, config);
  const again = row.accepted.every((vote) => vote !== null && sameBallot(vote.ballot, ballot));
  return accepted(again ? row : rowOf(proposal, values), leader, config, !again);
}

// ---------------------------------------------------------------- answers

function promised(row: AcceptorRow, to: LeaderAddress, { name }: AcceptorConfig, changed: boolean): AcceptorStep {
  const { txid, promised: ballot, accepted: votes } = row;
  return stored(row, to, { protocol: 'paxos-commit', kind: 'PHASE_1B', txid, acceptor: name, ballot, accepted: votes }, changed);
}

function accepted(row: AcceptorRow, to: LeaderAddress, { name }: AcceptorConfig, changed: boolean): AcceptorStep {
  const { txid, promised: ballot } = row;
  const values = row.accepted.map((vote) => vote!.value);
  return stored(row, to, { protocol: 'paxos-commit', kind: 'PHASE_2B', txid, acceptor: name, ballot, values }, changed);
}

function refused(row: AcceptorRow, ballot: Phase1a['ballot'], to: LeaderAddress, { name }: AcceptorConfig): AcceptorStep {
  return stored(row, to, { protocol: 'paxos-commit', kind: 'REFUSED', txid: row.txid, acceptor: name, ballot, promised: row.promised }, false);
}

// ---------------------------------------------------------------- small parts

type Stored = Extract<AcceptorState, { phase: 'stored' }>;

const NOTHING: AcceptorStep['ready'] = { records: [], messages: [], timers: [] };

/** All instances accepted in one ballot, which is thereby promised too. */
function rowOf({ txid, peers, ballot }: Phase2a, values: readonly InstanceValue[]): AcceptorRow {
  return { txid, peers, promised: ballot, accepted: values.map((value) => ({ ballot, value })) };
}

function acceptedSoFar(state: Exclude<AcceptorState, Stored> | null, branches: number): readonly (Accepted | null)[] {
  if (state === null) return Array.from({ length: branches }, () => null);
  return state.values.map((value) => (value === null ? null : { ballot: BALLOT_ZERO, value }));
}

function isComplete(values: readonly (InstanceValue | null)[]): values is readonly InstanceValue[] {
  return !values.includes(null);
}

function stored(row: AcceptorRow, to: LeaderAddress, message: Phase1b | Phase2b | Refused, changed: boolean): AcceptorStep {
  return { state: { phase: 'stored', row }, ready: { records: changed ? [{ kind: 'ACCEPTOR', row }] : [], messages: [{ to, message }], timers: [] } };
}

function dropped(state: AcceptorState | null, rule: AcceptorIgnore): AcceptorStep {
  return { state, ready: NOTHING, ignored: rule };
}

function mayBeForgotten({ txid }: ToAcceptor, { nowMs, config }: Context): boolean {
  return config.rowsKeptMs !== undefined && nowMs - createdAtOf(txid) >= config.rowsKeptMs;
}

/** A message of another transaction, or one that counts its branches otherwise, is a defect of its sender. */
function checkGroup(state: AcceptorState | null, message: ToAcceptor): void {
  if (message.kind === 'PHASE_2A' && message.values.length !== message.peers.length) throw unexpected(state, `PHASE_2A with ${message.values.length} values`);
  if (message.kind === 'PHASE_1A' && message.ballot.n < 1) throw unexpected(state, 'PHASE_1A of the participants\' ballot');
  if (state === null) return;
  const { txid, peers } = state.phase === 'stored' ? state.row : state;
  if (message.txid !== txid) throw unexpected(state, `${message.kind} of another transaction`);
  if (message.peers.length !== peers.length) throw unexpected(state, `${message.kind} with ${message.peers.length} branches instead of ${peers.length}`);
}

function unexpected(state: AcceptorState | null, input: string): UnexpectedInputError {
  return new UnexpectedInputError('acceptor', state === null ? 'none' : state.phase, input);
}
