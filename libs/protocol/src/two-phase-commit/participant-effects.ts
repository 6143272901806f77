/** What the participant's rules do: each effect gives the next state and what is owed for it. The rules are in participant.ts. */
import type {
  Abort, AbortOnePhase, Envelope, Json, Peers, PeerInquiry, PeerState, Prepare, PrepareAndCommit, Reason, ToCoordinator, ToParticipant,
} from '../messages.js';
import { ReasonCode } from '../messages.js';
import type { TimerChange } from '../machine.js';
import { backoffAt } from '../backoff.js';
import type {
  BranchRow, HandlerAction, HandlerVote, ParticipantConfig, ParticipantRecord, ParticipantState, ParticipantStep, ParticipantTimer,
} from './types.js';

export interface ParticipantContext {
  readonly nowMs: number;
  readonly config: ParticipantConfig;
}

type Outgoing = ToCoordinator | PeerInquiry | PeerState;
type Running = Extract<ParticipantState, { phase: 'running' }>;

interface Owed {
  readonly records?: readonly ParticipantRecord[];
  readonly messages?: readonly Envelope<Outgoing>[];
  readonly timers?: readonly TimerChange<ParticipantTimer>[];
}

// ---------------------------------------------------------------- handlers

/** Asks for the handler of a phase-one message; nothing is durable yet, so a crash here forgets the branch. */
export function runWork(action: 'prepare' | 'prepare-and-commit', trigger: Prepare | PrepareAndCommit): ParticipantStep {
  return run({ phase: 'running', action, trigger, row: null }, trigger.operation, trigger.payload, null);
}

/** Asks for the handler that applies a decision to a prepared branch. */
export function runDecision(action: 'commit' | 'abort', trigger: ToParticipant, row: BranchRow): ParticipantStep {
  return run({ phase: 'running', action, trigger, row }, row.operation, row.payload, row.result);
}

function run(state: Running, operation: string, payload: Json, result: Json | null): ParticipantStep {
  return { state, ready: { records: [], messages: [], timers: [], run: { action: state.action satisfies HandlerAction, operation, payload, result } } };
}

// ---------------------------------------------------------------- what the handlers said

/** The vote and its row become durable in the handler's own database transaction; only then does the vote leave. */
export function recordVote(prepare: Prepare, said: HandlerVote, context: ParticipantContext): ParticipantStep {
  const state = said.vote === 'yes' ? 'prepared' : said.vote === 'no' ? 'aborted' : 'read-only';
  const row = workRow(prepare, said, { state, onePhase: false, peers: prepare.peers }, context);
  const timers = said.vote === 'yes' ? [inquireTimer(context.nowMs, 0, context)] : [];
  return stored(row, { messages: [voteOf(row)], timers }, true);
}

/** The participant decides alone: the row is the decision (Mohan and others 1986, the coordinator hands the decision over). */
export function recordOnePhase(message: PrepareAndCommit, said: HandlerVote, context: ParticipantContext): ParticipantStep {
  const state = said.vote === 'yes' ? 'committed' : said.vote === 'no' ? 'aborted' : 'read-only';
  const row = workRow(message, said, { state, onePhase: true, peers: [context.config.name] }, context);
  return stored(row, { messages: [outcomeOf(row)] }, true);
}

/** Acknowledged whoever told it: the coordinator waits for this ACK before it may forget. */
export function recordCommit(row: BranchRow, { nowMs }: ParticipantContext): ParticipantStep {
  const committed: BranchRow = { ...row, state: 'committed', updatedAtMs: nowMs };
  return stored(committed, { messages: [ackOf(committed)], timers: [{ cancel: 'inquire' }] }, true);
}

export function recordAbort(row: BranchRow, reason: Reason, ackAsked: boolean, { nowMs }: ParticipantContext): ParticipantStep {
  const aborted: BranchRow = { ...row, state: 'aborted', reason, updatedAtMs: nowMs };
  return stored(aborted, { messages: ackAsked ? [ackOf(aborted)] : [], timers: [{ cancel: 'inquire' }] }, true);
}

function workRow(
  message: Prepare | PrepareAndCommit, said: HandlerVote, as: Pick<BranchRow, 'state' | 'onePhase' | 'peers'>, { nowMs }: ParticipantContext,
): BranchRow {
  const { txid, branch, operation, payload } = message;
  const reason = said.vote === 'no' ? said.reason ?? { code: ReasonCode.REFUSED } : null;
  return { txid, branch, ...as, operation, payload, reason, result: said.result ?? null, updatedAtMs: nowMs };
}

// ---------------------------------------------------------------- aborts that come before the work

/** ABORT has overtaken its PREPARE: recorded, so that the PREPARE meets it and is refused. */
export function recordEarlyAbort(abort: Abort, context: ParticipantContext): ParticipantStep {
  const row = tombstone(abort, { onePhase: false, peers: [], reason: abort.reason }, context);
  return stored(row, { messages: abort.ack ? [ackOf(row)] : [] }, true);
}

export function recordEarlyOnePhaseAbort(abort: AbortOnePhase, context: ParticipantContext): ParticipantStep {
  const row = tombstone(abort, { onePhase: true, peers: [context.config.name], reason: abort.reason }, context);
  return stored(row, { messages: [outcomeOf(row)] }, true);
}

/** Cooperative termination: who has not voted may abort alone, and a peer in doubt can then abort too. */
export function abortForPeer(inquiry: PeerInquiry, context: ParticipantContext): ParticipantStep {
  const reason = { code: ReasonCode.PEER_TERMINATION, detail: `asked by branch ${inquiry.from} before it had voted` };
  const row = tombstone(inquiry, { onePhase: false, peers: inquiry.peers, reason }, context);
  return stored(row, { messages: [peerAnswer(inquiry, 'aborted')] }, true);
}

function tombstone(
  message: Abort | AbortOnePhase | PeerInquiry, as: Pick<BranchRow, 'onePhase' | 'peers' | 'reason'>, { nowMs }: ParticipantContext,
): BranchRow {
  return { txid: message.txid, branch: message.branch, state: 'aborted', operation: '', payload: null, result: null, updatedAtMs: nowMs, ...as };
}

/** True for a row that an abort made before any work was asked for. */
function isTombstone(row: BranchRow): boolean {
  return row.operation === '';
}

// ---------------------------------------------------------------- answers from the row

export function repeatVote(row: BranchRow): ParticipantStep {
  return stored(row, { messages: [voteOf(row)] });
}

export function repeatOutcome(row: BranchRow): ParticipantStep {
  return stored(row, { messages: [outcomeOf(row)] });
}

export function acknowledge(row: BranchRow): ParticipantStep {
  return stored(row, { messages: [ackOf(row)] });
}

export function tellPeer(row: BranchRow, inquiry: PeerInquiry): ParticipantStep {
  const known = row.state === 'committed' || row.state === 'aborted' ? row.state : 'uncertain';
  return stored(row, { messages: [peerAnswer(inquiry, known)] });
}

// ---------------------------------------------------------------- answers without a row

/** The branch was decided and cleaned up: only decided rows are. */
export function acknowledgeForgotten(message: { readonly txid: BranchRow['txid']; readonly branch: number }): ParticipantStep {
  return none({ messages: [ackOf(message)] });
}

export function tellPeerNothing(inquiry: PeerInquiry): ParticipantStep {
  return none({ messages: [peerAnswer(inquiry, 'uncertain')] });
}

// ---------------------------------------------------------------- in doubt

/** After a restart the branch is as old as its row: what is overdue is due now. */
export function armInquiry(row: BranchRow, context: ParticipantContext): ParticipantStep {
  const { set, atMs, attempt } = inquireTimer(row.updatedAtMs, 0, context);
  return stored(row, { timers: [{ set, atMs: Math.max(atMs, context.nowMs), attempt }] });
}

/** Asks the coordinator, and after some silence the peers as well. */
export function inquire(row: BranchRow, attempt: number, context: ParticipantContext): ParticipantStep {
  const { txid, branch } = row;
  const inquiry = toCoordinator({ kind: 'INQUIRY', txid, branch, participant: context.config.name });
  const peers = asksPeers(attempt, context.config) ? peerInquiries(row) : [];
  return stored(row, { messages: [inquiry, ...peers], timers: [inquireTimer(context.nowMs, attempt + 1, context)] });
}

/**
 * True when the firing of `inquire` with this attempt goes to the peers too. A branch still prepared at the firing after
 * such a one is blocked: neither the coordinator nor any peer could tell it the decision.
 */
export function asksPeers(attempt: number, config: ParticipantConfig): boolean {
  return attempt >= config.askPeersAfterInquiries;
}

function peerInquiries({ txid, branch: from, peers }: BranchRow): readonly Envelope<PeerInquiry>[] {
  return peers.flatMap((name, branch) => (
    branch === from ? [] : [{ to: { role: 'participant', name }, message: { kind: 'PEER_INQUIRY', txid, branch, from, peers } }]
  ));
}

function inquireTimer(sinceMs: number, attempt: number, { config }: ParticipantContext) {
  const atMs = backoffAt(sinceMs, attempt, config.inquireAfterMs, config.maxInquireIntervalMs);
  return { set: 'inquire', atMs, attempt } as const;
}

// ---------------------------------------------------------------- messages

function voteOf(row: BranchRow): Envelope<ToCoordinator> {
  const { txid, branch } = row;
  const result = row.result === null ? {} : { result: row.result };
  if (row.state === 'aborted') return toCoordinator({ kind: 'VOTE', txid, branch, vote: 'no', reason: refusalOf(row), ...result });
  return toCoordinator({ kind: 'VOTE', txid, branch, vote: row.state === 'read-only' ? 'read-only' : 'yes', ...result });
}

/** A late PREPARE is told that it is late, and by which ABORT; every other refusal is the branch's own. */
function refusalOf(row: BranchRow): Reason {
  const reason = row.reason ?? { code: ReasonCode.REFUSED };
  if (!isTombstone(row) || reason.code === ReasonCode.PEER_TERMINATION) return reason;
  return { code: ReasonCode.ABORTED_BEFORE_PREPARE, detail: `an ABORT (${reason.code}) came before this PREPARE` };
}

/** A read-only branch has nothing that could differ, so it counts as committed. */
function outcomeOf(row: BranchRow): Envelope<ToCoordinator> {
  const { txid, branch, reason, result } = row;
  return toCoordinator({
    kind: 'ONE_PHASE_OUTCOME', txid, branch, outcome: row.state === 'aborted' ? 'aborted' : 'committed',
    ...(reason && { reason }), ...(result !== null && { result }),
  });
}

function ackOf({ txid, branch }: { readonly txid: BranchRow['txid']; readonly branch: number }): Envelope<ToCoordinator> {
  return toCoordinator({ kind: 'ACK', txid, branch });
}

function peerAnswer(inquiry: PeerInquiry, state: PeerState['state']): Envelope<PeerState> {
  const { txid, branch, from, peers } = inquiry;
  return { to: { role: 'participant', name: peerName(peers, from) }, message: { kind: 'PEER_STATE', txid, branch: from, from: branch, state } };
}

function peerName(peers: Peers, branch: number): string {
  const name = peers[branch];
  if (name === undefined) throw new Error(`branch ${branch} is not among ${peers.length} peers`);
  return name;
}

function toCoordinator(message: ToCoordinator): Envelope<ToCoordinator> {
  return { to: { role: 'coordinator' }, message };
}

// ---------------------------------------------------------------- small parts

/** `changed` writes the row; an answer from the row writes nothing. */
function stored(row: BranchRow, owed: Owed, changed = false): ParticipantStep {
  const records = changed ? [{ kind: 'BRANCH', row } as const] : [];
  return { state: { phase: 'stored', row }, ready: { records, messages: owed.messages ?? [], timers: owed.timers ?? [] } };
}

function none(owed: Owed): ParticipantStep {
  return { state: { phase: 'none' }, ready: { records: [], messages: owed.messages ?? [], timers: [] } };
}
