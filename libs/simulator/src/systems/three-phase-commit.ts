/** Quorum-based three-phase commit (E3PC) as a system: sites 0..N-1 are the branches, site N the coordinator and its fenced rows. */
import {
  compareElections, isFinal, stepThreePhaseCoordinator, stepThreePhaseParticipant,
  type BranchProgress, type OutcomeStatus, type SiteRow, type ThreePhaseBranchRow as BranchRow, type ThreePhaseCoordinatorConfig as CoordinatorConfig,
  type ThreePhaseCoordinatorInput as CoordinatorInput, type ThreePhaseCoordinatorRecord as CoordinatorRecord, type ThreePhaseCoordinatorState as CoordinatorState,
  type ThreePhaseMessage, type ThreePhaseParticipantConfig as ParticipantConfig, type ThreePhaseParticipantInput as ParticipantInput,
  type ThreePhaseParticipantState as ParticipantState, type ToThreePhaseCoordinator, type TransactionSpec, type VoteKind,
} from '#libs/protocol';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import { role, type Message, type Role, type RoleStep, type Sent, type System, type View, type Written } from '../system.js';
import { effectOf, handlerVote, type Transaction } from './two-phase-commit.js';

export interface ThreePhaseMachines {
  readonly coordinator: typeof stepThreePhaseCoordinator;
  readonly participant: typeof stepThreePhaseParticipant;
}

export const THREE_PHASE_MACHINES: ThreePhaseMachines = { coordinator: stepThreePhaseCoordinator, participant: stepThreePhaseParticipant };

const COORDINATOR: CoordinatorConfig = { resendAfterMs: 200, maxResendIntervalMs: 2000, resolveAfterMs: 1000, maxResolveIntervalMs: 4000, staggerMs: 150 };
const PARTICIPANT: Omit<ParticipantConfig, 'name'> = { resolveAfterMs: 1000, maxResolveIntervalMs: 4000, staggerMs: 150 };

/** @param machines a broken variant, for tests of the checkers */
export function threePhaseCommit(transaction: Transaction, machines: ThreePhaseMachines = THREE_PHASE_MACHINES): System {
  const { votes, txid } = transaction;
  if (votes.length < 2) throw new RangeError(`three-phase commit needs at least 2 branches, got ${votes.length}: a single one is one-phase in 2pc`);
  const spec: TransactionSpec = {
    txid, protocol: '3pc', createdAtMs: transaction.createdAtMs, deadlineMs: transaction.createdAtMs + transaction.timeoutMs, waitFor: transaction.waitFor,
    branches: votes.map((_, i) => ({ participant: `p${i}`, operation: 'work', payload: null })),
  };
  const roles = [role(coordinatorRole(machines)), ...votes.map((vote, i) => role(participantRole(i, vote, machines)))];
  const central = (view: View): CoordinatorRows | null => view.durables[0] as CoordinatorRows | null;
  const branchRow = (view: View, i: number): BranchRow | null => (view.durables[i + 1] as BranchRows | null)?.row ?? null;
  const branchesOf = (view: View): BranchFacts[] => votes.map((_, i) => factsOf(view.durables[i + 1] as BranchRows | null));
  return {
    protocol: '3pc', txid, roles, nonBlocking: true,
    start: { role: 'coordinator', input: { kind: 'START', spec } satisfies CoordinatorInput },
    commands: [
      { kind: 'CANCEL', reason: { code: 'CANCELLED' } }, { kind: 'RETRY_NOW' }, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } },
    ] satisfies CoordinatorInput[],
    expected: votes.includes('no') ? 'aborted' : 'committed',
    describe: (message) => describe(message as ThreePhaseMessage),
    violation(view) {
      const decision = outcomeOf(central(view)?.site ?? null);
      return atomicViolation({ branches: branchesOf(view), decisions: [decision], answers: view.answers })
        ?? splitAttempt([central(view)?.site ?? null, ...votes.map((_, i) => branchRow(view, i))]);
    },
    ended(view, sites) {
      const rows = central(view);
      // ACKs of a branch that is gone for good do not come: then the coordinator has ended when it has decided.
      const allThere = votes.every((_, i) => sites.has(`p${i}`));
      if (rows !== null && sites.has('coordinator') && !(allThere ? rows.finished : isFinal(rows.site.state))) return false;
      return votes.every((_, i) => !sites.has(`p${i}`) || isFinal(branchRow(view, i)?.state ?? 'aborted'));
    },
    leftover(view, sites) {
      const decided = [central(view)?.site ?? null, ...votes.map((_, i) => branchRow(view, i))].map(outcomeOf).find((outcome) => outcome !== null);
      return atomicLeftover(branchesOf(view).filter((_, i) => sites.has(`p${i}`)), decided ?? null);
    },
  };
}

function outcomeOf(row: SiteRow | null): OutcomeStatus | null {
  return row !== null && isFinal(row.state) ? row.state : null;
}

/** The invariant that the proof of E3PC rests on: one election attempts one thing. */
function splitAttempt(rows: readonly (SiteRow | null)[]): string | null {
  for (const [i, one] of rows.entries()) {
    if (one === null || one.lastAttempt.n === 0 || isFinal(one.state)) continue;
    for (const other of rows.slice(i + 1)) {
      if (other === null || isFinal(other.state) || other.state === one.state || compareElections(one.lastAttempt, other.lastAttempt) !== 0) continue;
      return `E3PC: election ${textOf(one.lastAttempt)} attempted both outcomes`;
    }
  }
  return null;
}

/** AC2, at the only place where a row changes. */
function checkFinal(before: SiteRow | null, after: SiteRow): void {
  if (before !== null && isFinal(before.state) && before.state !== after.state) throw new Error(`AC2: ${after.state} after ${before.state}`);
}

// ---------------------------------------------------------------- coordinator

/** The coordinator's row; all its writes carry the epoch and are refused once that has passed. */
interface CoordinatorRows {
  readonly spec: TransactionSpec;
  readonly site: SiteRow;
  readonly branches: readonly BranchProgress[];
  readonly decidedAtMs: number | null;
  readonly finished: boolean;
}

/** A message about a transaction that this instance does not have in memory: what its row says comes with the flush. */
interface LookUp {
  readonly kind: 'LOOK_UP';
  readonly message: ToThreePhaseCoordinator;
}

type Input = CoordinatorInput | { readonly kind: 'LOOKED_UP'; readonly message: ToThreePhaseCoordinator; readonly rows: CoordinatorRows };

function coordinatorRole({ coordinator }: ThreePhaseMachines): Role<CoordinatorState, Input, CoordinatorRecord | LookUp, CoordinatorRows> {
  return {
    name: 'coordinator',
    site: 'coordinator',
    boot: (rows) => (rows === null || rows.finished ? { state: null, input: null } : { state: null, input: recovery(rows) }),
    step(state, input, { nowMs }) {
      if (input.kind === 'LOOKED_UP') return answerFromRow(state, input, nowMs, coordinator);
      if (state === null && input.kind === 'MESSAGE') return { state, records: [{ kind: 'LOOK_UP', message: input.message }], messages: [], timers: [] };
      if (state === null && input.kind !== 'START' && input.kind !== 'RECOVER') return { state, records: [], messages: [], timers: [] };
      const { state: next, ready } = coordinator(state, input, nowMs, COORDINATOR);
      return { state: next, records: ready.records, timers: ready.timers, messages: ready.messages.map(toRole) };
    },
    write(rows, record, fenced): Written<CoordinatorRows, Input> {
      if (record.kind === 'LOOK_UP') return lookUp(rows, record);
      if (fenced || (record.kind === 'BEGIN') !== (rows === null)) return 'refused';
      if (record.kind === 'BEGIN') return { durable: { spec: record.spec, site: record.site, branches: [], decidedAtMs: null, finished: false }, input: { kind: 'BEGUN' } };
      if (record.kind === 'END') return { durable: { ...rows!, branches: record.branches, finished: true } };
      checkFinal(rows!.site, record.site);
      return { durable: { ...rows!, site: record.site, branches: record.branches, decidedAtMs: isFinal(record.site.state) ? record.atMs : null } };
    },
    answer: (state) => outcomeOf(state?.site ?? null),
    read: (rows) => outcomeOf(rows?.site ?? null),
    label: (state) => (state === null ? 'not loaded' : state.phase === 'resolving' ? textOfSite(state.site) : state.phase),
    recordText: (record) => (record.kind === 'STATE' ? textOfSite(record.site) : record.kind),
  };
}

function recovery({ spec, site, branches, decidedAtMs, finished }: CoordinatorRows): Extract<Input, { kind: 'RECOVER' }> {
  return { kind: 'RECOVER', spec, site, branches, decidedAtMs, finished };
}

/** Only a row that owes nothing is told by who has not loaded it; the owner has loaded the others. */
function lookUp(rows: CoordinatorRows | null, { message }: LookUp): Written<CoordinatorRows, Input> {
  if (rows === null || !rows.finished) return { durable: rows! };
  return { durable: rows, input: { kind: 'LOOKED_UP', message, rows } };
}

function answerFromRow(
  state: CoordinatorState | null, { message, rows }: Extract<Input, { kind: 'LOOKED_UP' }>, nowMs: number, coordinator: ThreePhaseMachines['coordinator'],
): RoleStep<CoordinatorState | null, never> {
  const { state: loaded } = coordinator(null, recovery(rows), nowMs, COORDINATOR);
  const { ready } = coordinator(loaded, { kind: 'MESSAGE', message }, nowMs, COORDINATOR);
  return { state, records: [], timers: [], messages: ready.messages.map(toRole) };
}

// ---------------------------------------------------------------- participants

/** A participant's tables: the branch row, and what the shop's own rows hold and have applied for it. */
interface BranchRows {
  readonly row: BranchRow | null;
  readonly held: number;
  readonly applied: number;
}

function participantRole(index: number, vote: VoteKind, { participant }: ThreePhaseMachines): Role<ParticipantState, ParticipantInput, BranchRows, BranchRows> {
  const config: ParticipantConfig = { ...PARTICIPANT, name: `p${index}` };
  return {
    name: `participant ${index}`,
    site: `p${index}`,
    boot: (rows) => (rows?.row ? { state: { phase: 'stored', row: rows.row, round: null, seen: 0 }, input: { kind: 'RECOVER' } } : { state: null, input: null }),
    step(state, input, around) {
      const first = participant(state ?? { phase: 'none' }, input, around.nowMs, config);
      const { run } = first.ready;
      if (run === undefined) return branchStep(first, null);
      const said = handlerVote(run.action, vote, around);
      return branchStep(participant(first.state, { kind: 'EXECUTED', vote: said }, around.nowMs, config), effectOf(run.action, said));
    },
    write(rows, { row, held, applied }) {
      if (row !== null) checkFinal(rows?.row ?? null, row);
      return { durable: { row: row ?? rows?.row ?? null, held: (rows?.held ?? 0) + held, applied: (rows?.applied ?? 0) + applied } };
    },
    label: (state) => (state === null || state.phase === 'none' ? 'no branch' : state.phase === 'stored' ? textOfSite(state.row) : state.phase),
    recordText: ({ row }) => (row === null ? 'effect' : textOfSite(row)),
  };
}

function branchStep({ state, ready }: ReturnType<typeof stepThreePhaseParticipant>, effect: ReturnType<typeof effectOf>): RoleStep<ParticipantState, BranchRows> {
  const row = ready.records.at(-1)?.row ?? null;
  const { held, applied, stock } = effect ?? { held: 0, applied: 0, stock: 0 };
  return { state, records: row || effect ? [{ row, held, applied }] : [], messages: ready.messages.map(toRole), timers: ready.timers, stock };
}

/** What a branch's rows say about it. */
function factsOf(rows: BranchRows | null): BranchFacts {
  const row = rows?.row ?? null;
  return { vote: voteOf(row), decided: outcomeOf(row), held: rows?.held ?? 0, applied: rows?.applied ?? 0 };
}

function voteOf(row: BranchRow | null): VoteKind | null {
  if (row === null) return null;
  if (row.state === 'aborted') return 'no';
  return row.readOnly ? 'read-only' : 'yes';
}

// ---------------------------------------------------------------- messages

function toRole({ to, message }: { readonly to: { readonly role: string }; readonly message: ThreePhaseMessage }): Sent<ThreePhaseMessage & Message> {
  return { to: to.role === 'coordinator' ? 'coordinator' : `participant ${message.to}`, message };
}

function describe(message: ThreePhaseMessage): string {
  switch (message.kind) {
    case 'VOTE': return `VOTE ${message.vote}`;
    case 'ABORT': return `ABORT ${message.reason.code}`;
    case 'PRE_COMMIT':
    case 'PRE_ABORT':
    case 'STATE_REQUEST': return `${message.kind} ${textOf(message.election)}`;
    case 'PRE_ACK': return `PRE_ACK ${textOf(message.election)} ${message.state}`;
    case 'STATE_REPLY': return `STATE_REPLY ${textOf(message.election)} ${message.state}${message.lastAttempt.n === 0 ? '' : ` by ${textOf(message.lastAttempt)}`}`;
    case 'REFUSED': return `REFUSED ${textOf(message.election)} for ${textOf(message.lastElected)}`;
    default: return message.kind;
  }
}

function textOf({ n, site }: SiteRow['lastElected']): string {
  return `(${n}, ${site})`;
}

/** `prepared`, `prepared, promised (2, 0)`, `pre-committed (1, 3)`, `pre-committed (1, 3), promised (2, 0)`, `committed`. */
function textOfSite({ state, lastAttempt, lastElected }: SiteRow): string {
  if (isFinal(state)) return state;
  const attempted = lastAttempt.n === 0 ? state : `${state} ${textOf(lastAttempt)}`;
  return compareElections(lastElected, lastAttempt) === 0 || lastElected.n === 1 ? attempted : `${attempted}, promised ${textOf(lastElected)}`;
}
