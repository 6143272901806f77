/** Two-phase commit with presumed abort as a system: the coordinator (whose register every owner shares) and one role per branch. */
import {
  stepCoordinator, stepParticipant,
  type BranchRow, type CoordinatorConfig, type CoordinatorInput, type CoordinatorRecord, type CoordinatorState, type HandlerAction, type HandlerVote,
  type OutcomeStatus, type ParticipantConfig, type ParticipantInput, type ParticipantState, type ProtocolMessage, type ToCoordinator, type ToParticipant,
  type TransactionSpec, type Txid, type VoteKind,
} from '#libs/protocol';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import { role, type Message, type Role, type RoleStep, type Sent, type Surroundings, type System, type View, type Written } from '../system.js';

/** What differs between transactions of one protocol. */
export interface Transaction {
  readonly txid: Txid;
  /** What each branch's handler says as long as there is stock. */
  readonly votes: readonly VoteKind[];
  readonly createdAtMs: number;
  readonly timeoutMs: number;
  readonly waitFor: TransactionSpec['waitFor'];
}

export interface TwoPhaseMachines {
  readonly coordinator: typeof stepCoordinator;
  readonly participant: typeof stepParticipant;
}

const MACHINES: TwoPhaseMachines = { coordinator: stepCoordinator, participant: stepParticipant };
const COORDINATOR: CoordinatorConfig = { resendAfterMs: 200, maxResendIntervalMs: 2000 };
const PARTICIPANT: Omit<ParticipantConfig, 'name'> = { inquireAfterMs: 1000, maxInquireIntervalMs: 4000, askPeersAfterInquiries: 1 };

/** @param machines a broken variant, for tests of the checkers */
export function twoPhaseCommit(transaction: Transaction, machines: TwoPhaseMachines = MACHINES): System {
  const { votes, txid } = transaction;
  const spec: TransactionSpec = {
    txid, protocol: '2pc', createdAtMs: transaction.createdAtMs, deadlineMs: transaction.createdAtMs + transaction.timeoutMs, waitFor: transaction.waitFor,
    branches: votes.map((_, i) => ({ participant: `p${i}`, operation: 'work', payload: null })),
  };
  const roles = [role(coordinatorRole(machines)), ...votes.map((vote, i) => role(participantRole(i, vote, machines)))];
  const branchesOf = (view: View): BranchFacts[] => votes.map((_, i) => factsOf(view.durables[i + 1] as BranchRows | null));
  const central = (view: View): CoordinatorRows => (view.durables[0] as CoordinatorRows | null) ?? NOTHING;
  return {
    protocol: '2pc', txid, roles, nonBlocking: false,
    start: { role: 'coordinator', input: { kind: 'START', spec } satisfies CoordinatorInput },
    commands: [
      { kind: 'CANCEL', reason: { code: 'CANCELLED' } }, { kind: 'RETRY_NOW' }, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } },
    ] satisfies CoordinatorInput[],
    expected: votes.includes('no') ? 'aborted' : 'committed',
    describe: (message) => describe(message as ProtocolMessage),
    violation(view) {
      const { register, ended } = central(view);
      return atomicViolation({ branches: branchesOf(view), decisions: [register && outcomeOf(register.decision), ended], answers: view.answers });
    },
    ended(view, sites) {
      const { begun, ended } = central(view);
      if (begun !== null && ended === null && sites.has('coordinator')) return false;
      return branchesOf(view).every(({ vote, decided }, i) => vote === null || vote === 'read-only' || decided !== null || !sites.has(`p${i}`));
    },
    leftover(view, sites) {
      const { register, ended } = central(view);
      const branches = branchesOf(view);
      // A single branch decides alone, and the coordinator may be gone before it hears of it.
      const outcome = ended ?? (register && outcomeOf(register.decision)) ?? (branches.length === 1 ? branches[0]!.decided : null);
      return atomicLeftover(branches.filter((_, i) => sites.has(`p${i}`)), outcome);
    },
  };
}

function outcomeOf(decision: 'COMMIT' | 'ABORT'): OutcomeStatus {
  return decision === 'COMMIT' ? 'committed' : 'aborted';
}

// ---------------------------------------------------------------- coordinator

type Decide = Extract<CoordinatorRecord, { kind: 'DECIDE' }>;
type End = Extract<CoordinatorRecord, { kind: 'END' }>;

/** The coordinator's tables: BEGIN and END carry the epoch and are refused once it has passed; DECIDE is write-once for everyone. */
interface CoordinatorRows {
  readonly begun: TransactionSpec | null;
  readonly register: Pick<Decide, 'decision' | 'reason' | 'branches' | 'atMs'> | null;
  readonly ended: OutcomeStatus | null;
}

/** An inquiry about a transaction that this instance does not have in memory: ABORT, unless the register says otherwise. */
interface Presume {
  readonly kind: 'PRESUME';
  readonly decide: Decide;
  readonly branch: number;
}

type Input = CoordinatorInput | { readonly kind: 'PRESUMED'; readonly txid: Txid; readonly branch: number; readonly register: NonNullable<CoordinatorRows['register']> };

const NOTHING: CoordinatorRows = { begun: null, register: null, ended: null };

function coordinatorRole(machines: TwoPhaseMachines): Role<CoordinatorState, Input, CoordinatorRecord | Presume, CoordinatorRows> {
  return {
    name: 'coordinator',
    site: 'coordinator',
    boot(rows) {
      if (rows === null || rows.begun === null || rows.ended !== null) return { state: null, input: null };
      return { state: null, input: { kind: 'RECOVER', spec: rows.begun, register: rows.register } };
    },
    step(state, input, { nowMs }) {
      if (input.kind === 'PRESUMED') return { state, records: [], timers: [], messages: [answerToInquiry(input)] };
      if (state === null && input.kind === 'MESSAGE') return presume(input.message, nowMs);
      if (state === null && input.kind !== 'START' && input.kind !== 'RECOVER') return { state, records: [], messages: [], timers: [] };
      const { state: next, ready } = machines.coordinator(state, input, nowMs, COORDINATOR);
      return { state: next, records: ready.records, timers: ready.timers, messages: ready.messages.map(({ message }) => toBranch(message)) };
    },
    write(rows, record, fenced): Written<CoordinatorRows, Input> {
      const before = rows ?? NOTHING;
      switch (record.kind) {
        case 'BEGIN':
          return fenced || before.begun !== null ? 'refused' : { durable: { ...before, begun: record.spec } };
        case 'DECIDE': {
          const register = before.register ?? registerOf(record);
          return { durable: { ...before, register }, input: { kind: 'REGISTERED', ...register } };
        }
        case 'PRESUME': {
          const register = before.register ?? registerOf(record.decide);
          return { durable: { ...before, register }, input: { kind: 'PRESUMED', txid: record.decide.txid, branch: record.branch, register } };
        }
        case 'END':
          return fenced ? 'refused' : { durable: endOf(before, record) };
      }
    },
    answer: (state) => state?.outcome ?? null,
    read: (rows) => rows?.ended ?? (rows?.register ? outcomeOf(rows.register.decision) : null),
    label: (state) => state?.phase ?? 'not loaded',
    recordText: (record) => (record.kind === 'DECIDE' ? `DECIDE ${record.decision}${record.reason ? ` ${record.reason.code}` : ''}` : record.kind),
  };
}

function registerOf({ decision, reason, branches, atMs }: Decide): NonNullable<CoordinatorRows['register']> {
  return { decision, reason, branches, atMs };
}

function endOf(rows: CoordinatorRows, { outcome }: End): CoordinatorRows {
  if (rows.ended !== null && rows.ended !== outcome) throw new Error(`AC2: END ${outcome} after END ${rows.ended}`);
  return { ...rows, ended: outcome };
}

/** As libs/runtime does it: everything but an inquiry is late and may be dropped. */
function presume(message: ToCoordinator, atMs: number): RoleStep<CoordinatorState | null, Presume> {
  const records: Presume[] = message.kind !== 'INQUIRY' ? [] : [{
    kind: 'PRESUME', branch: message.branch,
    decide: { kind: 'DECIDE', txid: message.txid, decision: 'ABORT', reason: { code: 'NO_RECORD' }, branches: [], atMs },
  }];
  return { state: null, records, messages: [], timers: [] };
}

function answerToInquiry({ txid, branch, register }: Extract<Input, { kind: 'PRESUMED' }>): Sent {
  const about = { txid, branch };
  return toBranch(register.decision === 'COMMIT' ? { ...about, kind: 'COMMIT' } : { ...about, kind: 'ABORT', reason: register.reason ?? { code: 'NO_RECORD' } });
}

// ---------------------------------------------------------------- participants

/** A participant's tables: the branch row, and what the shop's own rows hold and have applied for it. */
export interface BranchRows {
  readonly row: BranchRow | null;
  readonly held: number;
  readonly applied: number;
}

interface BranchWrite {
  readonly row: BranchRow | null;
  readonly held: number;
  readonly applied: number;
}

function participantRole(index: number, vote: VoteKind, machines: TwoPhaseMachines): Role<ParticipantState, ParticipantInput, BranchWrite, BranchRows> {
  const config: ParticipantConfig = { ...PARTICIPANT, name: `p${index}` };
  return {
    name: `participant ${index}`,
    site: `p${index}`,
    boot: (rows) => (rows?.row ? { state: { phase: 'stored', row: rows.row }, input: { kind: 'RECOVER' } } : { state: null, input: null }),
    step(state, input, around) {
      const first = machines.participant(state ?? { phase: 'none' }, input, around.nowMs, config);
      const { run } = first.ready;
      if (run === undefined) return branchStep(first, null);
      const said = handlerVote(run.action, vote, around);
      return branchStep(machines.participant(first.state, { kind: 'EXECUTED', vote: said }, around.nowMs, config), effectOf(run.action, said));
    },
    write: (rows, { row, held, applied }) => ({
      durable: { row: row ?? rows?.row ?? null, held: (rows?.held ?? 0) + held, applied: (rows?.applied ?? 0) + applied },
    }),
    label: (state) => (state === null || state.phase === 'none' ? 'no branch' : state.phase === 'stored' ? state.row.state : 'running'),
    recordText: ({ row }) => row?.state ?? 'effect',
  };
}

interface Effect { readonly held: number; readonly applied: number; readonly stock: number }

/** What a handler's database work does: a yes takes a piece, a commit makes that final, an abort gives it back. */
export function effectOf(action: HandlerAction, said: HandlerVote | null): Effect | null {
  if (action === 'commit') return { held: -1, applied: 1, stock: 0 };
  if (action === 'abort') return { held: -1, applied: 0, stock: 1 };
  if (said?.vote !== 'yes') return null;
  return action === 'prepare' ? { held: 1, applied: 0, stock: -1 } : { held: 0, applied: 1, stock: -1 };
}

/** The planned vote, or a refusal when nothing is left to take. */
export function handlerVote(action: HandlerAction, planned: VoteKind, { available }: Surroundings): HandlerVote | null {
  if (action === 'commit' || action === 'abort') return null;
  if (planned === 'yes' && available <= 0) return { vote: 'no', reason: { code: 'OUT_OF_STOCK' } };
  return planned === 'no' ? { vote: 'no', reason: { code: 'REFUSED' } } : { vote: planned };
}

function branchStep({ state, ready }: ReturnType<typeof stepParticipant>, effect: Effect | null): RoleStep<ParticipantState, BranchWrite> {
  const row = ready.records.at(-1)?.row ?? null;
  const { held, applied, stock } = effect ?? { held: 0, applied: 0, stock: 0 };
  const messages = ready.messages.map(({ message }) => (isToCoordinator(message) ? { to: 'coordinator', message } : toBranch(message)));
  return { state, records: row || effect ? [{ row, held, applied }] : [], messages, timers: ready.timers, stock };
}

/** What a branch's rows say about it. */
function factsOf(rows: BranchRows | null): BranchFacts {
  const row = rows?.row ?? null;
  const decided = row?.state === 'committed' || row?.state === 'aborted' ? row.state : null;
  return { vote: voteOf(row), decided, held: rows?.held ?? 0, applied: rows?.applied ?? 0 };
}

function voteOf(row: BranchRow | null): VoteKind | null {
  if (row === null) return null;
  if (row.state === 'read-only') return 'read-only';
  return row.state === 'aborted' ? 'no' : 'yes';
}

// ---------------------------------------------------------------- messages

function isToCoordinator(message: ProtocolMessage): message is ToCoordinator {
  return message.kind === 'VOTE' || message.kind === 'ACK' || message.kind === 'INQUIRY' || message.kind === 'ONE_PHASE_OUTCOME';
}

function toBranch(message: ToParticipant): Sent<ToParticipant & Message> {
  return { to: `participant ${message.branch}`, message };
}

function describe(message: ProtocolMessage): string {
  switch (message.kind) {
    case 'VOTE': return `VOTE ${message.vote}`;
    case 'ABORT': return `ABORT ${message.reason.code}`;
    case 'PEER_STATE': return `PEER_STATE ${message.state}`;
    case 'ONE_PHASE_OUTCOME': return `OUTCOME ${message.outcome}`;
    default: return message.kind;
  }
}
