/** What the participant's rules do: each effect gives the next state and what is owed for it. The rules are in participant.ts. */
import { backoffAt } from '../backoff.js';
import type { TimerChange } from '../machine.js';
import type { Envelope, Json, Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { HandlerVote } from '../two-phase-commit/types.js';
import { BALLOT_ZERO, majorityOf } from './ballot.js';
import type { Acceptors, Lead, PaxosAbort, PaxosAck, PaxosAddress, PaxosInquiry, PaxosPrepare, PaxosVote, Phase2a, ToPaxosParticipant } from './messages.js';
import type {
  PaxosBranchRow, PaxosHandlerAction, PaxosParticipantConfig, PaxosParticipantRecord, PaxosParticipantState, PaxosParticipantStep, PaxosParticipantTimer,
} from './types.js';

export interface PaxosParticipantContext {
  readonly nowMs: number;
  readonly config: PaxosParticipantConfig;
}

type Sent = Envelope<Phase2a | PaxosVote | PaxosAck | PaxosInquiry | Lead, PaxosAddress>;
type Running = Extract<PaxosParticipantState, { phase: 'running' }>;

interface Owed {
  readonly records?: readonly PaxosParticipantRecord[];
  readonly messages?: readonly Sent[];
  readonly timers?: readonly TimerChange<PaxosParticipantTimer>[];
}

const PROTOCOL = 'paxos-commit';

// ---------------------------------------------------------------- handlers

/** Asks for the handler of the branch's work; nothing is durable yet, so a crash here forgets the branch. */
export function runWork(trigger: PaxosPrepare): PaxosParticipantStep {
  return run({ phase: 'running', action: 'prepare', trigger, row: null }, trigger.operation, trigger.payload, null);
}

/** Asks for the handler that applies a decision to a prepared branch. */
export function runDecision(action: 'commit' | 'abort', trigger: ToPaxosParticipant, row: PaxosBranchRow): PaxosParticipantStep {
  return run({ phase: 'running', action, trigger, row }, row.operation, row.payload, row.result);
}

function run(state: Running, operation: string, payload: Json, result: Json | null): PaxosParticipantStep {
  return { state, ready: { records: [], messages: [], timers: [], run: { action: state.action satisfies PaxosHandlerAction, operation, payload, result } } };
}

// ---------------------------------------------------------------- what the handlers said

/**
 * The vote and its row become durable in the handler's own database transaction; only then does the vote leave: a YES as the branch's
 * own 2a of ballot 0 to F+1 acceptors (section 4.3: more are not needed while all goes well), a NO to the coordinator.
 */
export function recordVote(prepare: PaxosPrepare, said: HandlerVote, context: PaxosParticipantContext): PaxosParticipantStep {
  const { txid, branch, operation, payload, peers, acceptors } = prepare;
  const row: PaxosBranchRow = {
    txid, branch, operation, payload, peers, acceptors, state: said.vote === 'yes' ? 'prepared' : said.vote === 'no' ? 'aborted' : 'read-only',
    reason: said.vote === 'no' ? said.reason ?? { code: ReasonCode.REFUSED } : null, result: said.result ?? null, updatedAtMs: context.nowMs,
  };
  const timers = said.vote === 'yes' ? [inDoubtTimer(context.nowMs, 0, context)] : [];
  return stored(row, { messages: said.vote === 'no' ? [refusal(row)] : votes(row, acceptors.slice(0, majorityOf(acceptors.length))), timers }, true);
}

export function recordCommit(row: PaxosBranchRow, { nowMs }: PaxosParticipantContext): PaxosParticipantStep {
  const committed: PaxosBranchRow = { ...row, state: 'committed', updatedAtMs: nowMs };
  return stored(committed, { messages: [ackOf(committed)], timers: [{ cancel: 'in-doubt' }] }, true);
}

export function recordAbort(row: PaxosBranchRow, { reason, ack }: PaxosAbort, { nowMs }: PaxosParticipantContext): PaxosParticipantStep {
  const aborted: PaxosBranchRow = { ...row, state: 'aborted', reason, updatedAtMs: nowMs };
  return stored(aborted, { messages: ack ? [ackOf(aborted)] : [], timers: [{ cancel: 'in-doubt' }] }, true);
}

/** ABORT has overtaken its PREPARE: recorded, so that the PREPARE meets it and is refused. */
export function recordEarlyAbort({ txid, branch, reason, ack }: PaxosAbort, { nowMs }: PaxosParticipantContext): PaxosParticipantStep {
  const row: PaxosBranchRow = {
    txid, branch, state: 'aborted', operation: '', payload: null, peers: [], acceptors: [], reason, result: null, updatedAtMs: nowMs,
  };
  return stored(row, { messages: ack ? [ackOf(row)] : [] }, true);
}

// ---------------------------------------------------------------- answers from the row

/** Asked again, so something was lost: now to all acceptors. */
export function repeatVote(row: PaxosBranchRow): PaxosParticipantStep {
  return stored(row, { messages: votes(row, row.acceptors) });
}

export function repeatRefusal(row: PaxosBranchRow): PaxosParticipantStep {
  return stored(row, { messages: [refusal(row)] });
}

export function acknowledge(row: PaxosBranchRow): PaxosParticipantStep {
  return stored(row, { messages: [ackOf(row)] });
}

/** The branch was decided and cleaned up: only decided rows are. */
export function acknowledgeForgotten(message: Pick<PaxosBranchRow, 'txid' | 'branch'>): PaxosParticipantStep {
  return { state: { phase: 'none' }, ready: { records: [], messages: [ackOf(message)], timers: [] } };
}

// ---------------------------------------------------------------- in doubt

/** After a restart the branch is as old as its row: what is overdue is due now. */
export function armDoubt(row: PaxosBranchRow, context: PaxosParticipantContext): PaxosParticipantStep {
  const { set, atMs, attempt } = inDoubtTimer(row.updatedAtMs, 0, context);
  return stored(row, { timers: [{ set, atMs: Math.max(atMs, context.nowMs), attempt }] });
}

/**
 * First the vote goes to all acceptors, as some of the F+1 may not have it. Then the coordinator is asked as well. After
 * `leadAfterRepeats` the leader on this site is: from then on the vote of ballot 0 is left to those who read it.
 */
export function pursue(row: PaxosBranchRow, attempt: number, context: PaxosParticipantContext): PaxosParticipantStep {
  const { txid, branch, peers, acceptors } = row;
  const { name, leadAfterRepeats } = context.config;
  const inquiry: Sent = { to: { role: 'coordinator' }, message: { protocol: PROTOCOL, kind: 'INQUIRY', txid, branch, participant: name } };
  const lead: Sent = { to: { role: 'leader', name }, message: { protocol: PROTOCOL, kind: 'LEAD', txid, peers, acceptors } };
  const voting = attempt < leadAfterRepeats ? votes(row, acceptors) : [];
  const messages = [...voting, ...(attempt > 0 ? [inquiry] : []), ...(attempt >= leadAfterRepeats ? [lead] : [])];
  return stored(row, { messages, timers: [inDoubtTimer(context.nowMs, attempt + 1, context)] });
}

function inDoubtTimer(sinceMs: number, attempt: number, { config }: PaxosParticipantContext) {
  const atMs = backoffAt(sinceMs, attempt, config.repeatAfterMs, config.maxRepeatIntervalMs) + config.staggerMs;
  return { set: 'in-doubt', atMs, attempt } as const;
}

// ---------------------------------------------------------------- messages

/** The branch's YES: its own 2a of ballot 0, in its own instance. */
function votes({ txid, branch, state, peers }: PaxosBranchRow, acceptors: Acceptors): readonly Sent[] {
  const value = state === 'read-only' ? 'read-only' : 'prepared';
  const values = peers.map((_, i) => (i === branch ? value : null));
  const message: Phase2a = { protocol: PROTOCOL, kind: 'PHASE_2A', txid, ballot: BALLOT_ZERO, peers, values, leader: { role: 'coordinator' } };
  return acceptors.map((name) => ({ to: { role: 'acceptor', name }, message }));
}

function refusal({ txid, branch, operation, reason }: PaxosBranchRow): Sent {
  return { to: { role: 'coordinator' }, message: { protocol: PROTOCOL, kind: 'VOTE', txid, branch, vote: 'no', reason: refusalReason(operation, reason) } };
}

/** A late PREPARE is told that it is late, and by which ABORT; every other refusal is the branch's own. */
function refusalReason(operation: string, reason: Reason | null): Reason {
  const given = reason ?? { code: ReasonCode.REFUSED };
  if (operation !== '') return given;
  return { code: ReasonCode.ABORTED_BEFORE_PREPARE, detail: `an ABORT (${given.code}) came before this PREPARE` };
}

function ackOf({ txid, branch }: Pick<PaxosBranchRow, 'txid' | 'branch'>): Sent {
  return { to: { role: 'coordinator' }, message: { protocol: PROTOCOL, kind: 'ACK', txid, branch } };
}

// ---------------------------------------------------------------- small parts

/** `changed` writes the row; an answer from the row writes nothing. */
function stored(row: PaxosBranchRow, owed: Owed, changed = false): PaxosParticipantStep {
  const records = changed ? [{ kind: 'BRANCH', row } as const] : [];
  return { state: { phase: 'stored', row }, ready: { records, messages: owed.messages ?? [], timers: owed.timers ?? [] } };
}
