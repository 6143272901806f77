/** What the participant's rules do: each effect gives the next state and what is owed for it. The rules are in participant.ts. */
import type { TimerChange } from '../machine.js';
import type { Envelope, Json, Peers, Reason } from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { HandlerVote } from '../two-phase-commit/types.js';
import { addressOf, compareElections, firstElection, NO_ATTEMPT, otherSites, type Group } from './election.js';
import type { Abort, Commit, PreAbort, Prepare, StateRequest, ThreePhaseMessage } from './messages.js';
import { elect, type Begun } from './resolver.js';
import { answerAttempt, answerRequest, type Answered } from './site.js';
import { resolveAtMs } from './timing.js';
import type { BranchAction, BranchRow, ParticipantConfig, ParticipantRecord, ParticipantState, ParticipantStep, ParticipantTimer, Verdict } from './types.js';

export interface ParticipantContext {
  readonly nowMs: number;
  readonly config: ParticipantConfig;
}

export type Stored = Extract<ParticipantState, { phase: 'stored' }>;

interface Owed {
  readonly records?: readonly ParticipantRecord[];
  readonly messages?: readonly Envelope<ThreePhaseMessage>[];
  readonly timers?: readonly TimerChange<ParticipantTimer>[];
}

// ---------------------------------------------------------------- phase one

/** Asks for the handler of the work; nothing is durable yet, so a crash here forgets the branch. */
export function runWork(prepare: Prepare): ParticipantStep {
  return run({ phase: 'working', prepare }, 'prepare', prepare.operation, prepare.payload, null);
}

/** The vote and its row become durable in the handler's own database transaction; only then does the vote leave. */
export function recordVote(prepare: Prepare, said: HandlerVote, context: ParticipantContext): ParticipantStep {
  const { txid, to: branch, operation, payload, peers } = prepare;
  const no = said.vote === 'no';
  const row: BranchRow = {
    txid, branch, state: no ? 'aborted' : 'prepared', lastElected: firstElection(peers), lastAttempt: NO_ATTEMPT,
    reason: no ? said.reason ?? { code: ReasonCode.REFUSED } : null, readOnly: said.vote === 'read-only',
    operation, payload, peers, result: said.result ?? null, updatedAtMs: context.nowMs,
  };
  return record(fresh(row), { messages: [voteOf(row, prepare)], timers: no ? [] : [resolveTimer(row, context.nowMs, 0, context)] });
}

/** A repeated PREPARE is answered from the row. */
export function repeatVote(state: Stored, prepare: Prepare): ParticipantStep {
  return step(state, { messages: [voteOf(state.row, prepare)] });
}

// ---------------------------------------------------------------- aborts that come before the work

/** ABORT has overtaken its PREPARE: recorded, so that the PREPARE meets it and is refused. */
export function recordEarlyAbort(abort: Abort, context: ParticipantContext): ParticipantStep {
  return record(fresh(tombstone(abort, [], abort.reason, context)), { messages: abort.ack ? [ackTo(abort.from, abort.txid, abort.to)] : [] });
}

/** Who has not voted may abort alone, and whoever resolves can then abort at once. */
export function abortForElection(message: StateRequest | PreAbort, context: ParticipantContext): ParticipantStep {
  const reason = { code: ReasonCode.PEER_TERMINATION, detail: `asked by site ${message.from} before it had voted` };
  const row = tombstone(message, message.peers, reason, context);
  const { messages } = message.kind === 'STATE_REQUEST' ? answerRequest(row, message) : answerAttempt(row, message);
  return record(fresh(row), { messages });
}

function tombstone(message: Abort | StateRequest | PreAbort, peers: Peers, reason: Reason, { nowMs }: ParticipantContext): BranchRow {
  const { txid, to: branch } = message;
  return {
    txid, branch, state: 'aborted', lastElected: NO_ATTEMPT, lastAttempt: NO_ATTEMPT, reason, readOnly: false,
    operation: '', payload: null, peers, result: null, updatedAtMs: nowMs,
  };
}

// ---------------------------------------------------------------- as a site, and as a resolver

/** The answer to somebody else's round; it ends one's own if anything was promised or followed. */
export function answerFrom(state: Stored, { changed, site, messages }: Answered, context: ParticipantContext): ParticipantStep {
  if (!changed) return step(state, { messages });
  const followed = compareElections(site.lastAttempt, state.row.lastAttempt) !== 0;
  const row: BranchRow = { ...state.row, ...site, updatedAtMs: context.nowMs };
  return record({ ...state, row, round: null }, { messages, timers: followed ? [resolveTimer(row, context.nowMs, 0, context)] : [] });
}

/** @param attemptCount how often this site has stood since its last sign of life, for the backoff of the next time */
export function standForElection(state: Stored, attemptCount: number, context: ParticipantContext): ParticipantStep {
  const begun = elect(groupOf(state.row), state.row, state.seen);
  return beginRound(state, begun, [resolveTimer(state.row, context.nowMs, attemptCount, context)], context);
}

/** Every round begins with a durable row: no election is used twice. */
export function beginRound(state: Stored, { site, round, messages }: Begun, timers: Owed['timers'], { nowMs }: ParticipantContext): ParticipantStep {
  return record({ ...state, row: { ...state.row, ...site, updatedAtMs: nowMs }, round }, { messages, timers: timers ?? [] });
}

/** After a restart the branch is as old as its row: what is overdue is due now. */
export function armResolve(state: Stored, context: ParticipantContext): ParticipantStep {
  const timer = resolveTimer(state.row, state.row.updatedAtMs, 0, context);
  return step(state, { timers: [{ ...timer, atMs: Math.max(timer.atMs, context.nowMs) }] });
}

/** The sites that a resolver tells its decision: all but itself and the one that has just said it. */
export function toBeTold(row: BranchRow, informant: number | null): readonly number[] {
  return otherSites(groupOf(row)).filter((site) => site !== informant);
}

// ---------------------------------------------------------------- the decision

/** Asks for the handler that applies the decision; a read-only branch has none. */
export function applyDecision(row: BranchRow, verdict: Verdict, context: ParticipantContext): ParticipantStep {
  const state = { phase: 'applying', row, verdict } as const;
  if (row.readOnly) return recordDecision(row, verdict, context);
  return run(state, verdict.decision === 'COMMIT' ? 'commit' : 'abort', row.operation, row.payload, row.result);
}

export function recordDecision(row: BranchRow, verdict: Verdict, { nowMs }: ParticipantContext): ParticipantStep {
  const committed = verdict.decision === 'COMMIT';
  const decided: BranchRow = { ...row, state: committed ? 'committed' : 'aborted', reason: committed ? null : verdict.reason, updatedAtMs: nowMs };
  const messages = [
    ...(verdict.ackTo === null ? [] : [ackTo(verdict.ackTo, row.txid, row.branch)]),
    ...verdict.tell.map((to) => decisionTo(decided, to)),
  ];
  return record(fresh(decided), { messages, timers: [{ cancel: 'resolve' }] });
}

/** The branch was decided and cleaned up (only decided rows are), or asked again. */
export function acknowledge(state: ParticipantState, message: Commit | Abort): ParticipantStep {
  return step(state, { messages: [ackTo(message.from, message.txid, message.to)] });
}

// ---------------------------------------------------------------- messages

/** A late PREPARE is told that it is late, and by which abort; every other refusal is the branch's own. */
function voteOf(row: BranchRow, prepare: Prepare): Envelope<ThreePhaseMessage> {
  const vote = row.state === 'aborted' ? 'no' : row.readOnly ? 'read-only' : 'yes';
  const message = {
    protocol: '3pc', kind: 'VOTE', txid: row.txid, from: row.branch, to: prepare.from, vote,
    ...(vote === 'no' && { reason: refusalOf(row) }), ...(row.result !== null && { result: row.result }),
  } as const;
  return { to: { role: 'coordinator' }, message };
}

function refusalOf(row: BranchRow): Reason {
  const reason = row.reason ?? { code: ReasonCode.REFUSED };
  if (row.operation !== '' || reason.code === ReasonCode.PEER_TERMINATION) return reason;
  return { code: ReasonCode.ABORTED_BEFORE_PREPARE, detail: `an ABORT (${reason.code}) came before this PREPARE` };
}

function ackTo(to: number, txid: BranchRow['txid'], from: number): Envelope<ThreePhaseMessage> {
  return { to: { role: 'coordinator' }, message: { protocol: '3pc', kind: 'ACK', txid, from, to } };
}

/** Told once: whoever misses it stands for election in its turn and hears it then. */
function decisionTo(row: BranchRow, to: number): Envelope<ThreePhaseMessage> {
  const about = { protocol: '3pc', txid: row.txid, from: row.branch, to } as const;
  const message = row.state === 'committed' ? { ...about, kind: 'COMMIT' } as const : { ...about, kind: 'ABORT', reason: row.reason ?? { code: ReasonCode.NO_RECORD } } as const;
  return { to: addressOf(row, to), message };
}

// ---------------------------------------------------------------- small parts

export function groupOf({ txid, peers, branch }: BranchRow): Group {
  return { txid, peers, self: branch };
}

function resolveTimer(row: BranchRow, sinceMs: number, attemptCount: number, { config }: ParticipantContext) {
  return { set: 'resolve', atMs: resolveAtMs(sinceMs, attemptCount, row.branch, config), attempt: attemptCount } as const;
}

function fresh(row: BranchRow): Stored {
  return { phase: 'stored', row, round: null, seen: 0 };
}

function run(state: ParticipantState, action: BranchAction, operation: string, payload: Json, result: Json | null): ParticipantStep {
  return { state, ready: { records: [], messages: [], timers: [], run: { action, operation, payload, result } } };
}

/** The state's row is new. */
function record(state: Stored, owed: Owed): ParticipantStep {
  return step(state, { ...owed, records: [{ kind: 'BRANCH', row: state.row }] });
}

export function step(state: ParticipantState, { records = [], messages = [], timers = [] }: Owed): ParticipantStep {
  return { state, ready: { records, messages, timers } };
}
