/**
 * Paxos Commit as a system: the coordinator, one role per branch, 2F+1 acceptors (acceptor j on the site of participant j while there are
 * any, then on sites of their own; F=0: on the coordinator's) and a leader role on each participant's site.
 */
import {
  compareBallots, majorityOf, restingLeader, sameBallot, stepAcceptor, stepPaxosLeader, stepPaxosParticipant,
  type Accepted, type AcceptorConfig, type AcceptorInput, type AcceptorRecord, type AcceptorRow, type AcceptorState, type Ballot, type InstanceValue, type OutcomeStatus,
  type PaxosAddress, type PaxosBranchRow, type PaxosGroup, type PaxosLeaderConfig, type PaxosLeaderInput, type PaxosLeaderRecord, type PaxosLeaderState, type PaxosMessage,
  type PaxosParticipantConfig, type PaxosParticipantInput, type PaxosParticipantState, type Reason, type ToPaxosLeader, type ToPaxosParticipant, type TransactionSpec,
  type VoteKind,
} from '#libs/protocol';
import { atomicLeftover, atomicViolation, type BranchFacts } from '../atomic.js';
import { role, type Role, type RoleStep, type Sent, type SiteName, type System, type View, type Written } from '../system.js';
import { effectOf, handlerVote, type Transaction } from './two-phase-commit.js';

export interface PaxosTransaction extends Transaction {
  /** How many of the 2F+1 acceptors may fail. 0: the one acceptor is the coordinator's, which is two-phase commit. */
  readonly f: number;
}

export interface PaxosMachines {
  readonly leader: typeof stepPaxosLeader;
  readonly acceptor: typeof stepAcceptor;
  readonly participant: typeof stepPaxosParticipant;
}

const MACHINES: PaxosMachines = { leader: stepPaxosLeader, acceptor: stepAcceptor, participant: stepPaxosParticipant };
const LEADER: Omit<PaxosLeaderConfig, 'leader' | 'address' | 'staggerMs'> = { resendAfterMs: 200, maxResendIntervalMs: 2000, mostRepeats: 4 };
const PARTICIPANT: Omit<PaxosParticipantConfig, 'name' | 'staggerMs'> = { repeatAfterMs: 1000, maxRepeatIntervalMs: 4000, leadAfterRepeats: 2 };
const STAGGER_MS = 150;
/** Leader ids: 1 + i for the leader on participant i's site, this much per ownership for the coordinator. */
const IDS_PER_TENURE = 100;

/** @param machines a broken variant, for tests of the checkers */
export function paxosCommit(transaction: PaxosTransaction, machines: PaxosMachines = MACHINES): System {
  const { votes, txid, f } = transaction;
  const spec: TransactionSpec = {
    txid, protocol: 'paxos-commit', createdAtMs: transaction.createdAtMs, deadlineMs: transaction.createdAtMs + transaction.timeoutMs, waitFor: transaction.waitFor,
    branches: votes.map((_, i) => ({ participant: `p${i}`, operation: 'work', payload: null })),
  };
  const acceptors = Array.from({ length: 2 * f + 1 }, (_, j) => `a${j}`);
  const acceptorSites = acceptors.map((name, j) => (f === 0 ? 'coordinator' : j < votes.length ? `p${j}` : name));
  const majority = majorityOf(acceptors.length);
  const roles = [
    role(coordinatorRole(machines)), ...votes.map((vote, i) => role(participantRole(i, vote, machines))),
    ...acceptorSites.map((site, j) => role(acceptorRole(j, site, machines))), ...votes.map((_, i) => role(leaderRole(i, machines))),
  ];
  const firstAcceptor = 1 + votes.length;
  const branchesOf = (view: View): BranchFacts[] => votes.map((_, i) => factsOf(view.durables[i + 1] as BranchRows | null));
  const central = (view: View): CoordinatorRows => (view.durables[0] as CoordinatorRows | null) ?? NOTHING;
  const acceptorRows = (view: View) => view.durables.slice(firstAcceptor, firstAcceptor + acceptors.length) as (AcceptorRows | null)[];
  const chosenIn = (view: View): ChosenValues[] => chosenValues(acceptorRows(view), votes.length, majority);
  /** Without a majority of acceptors nobody can know what was chosen: what is blocked then is excused, except from F=0, which is 2PC. */
  const excused = (sites: ReadonlySet<SiteName>): boolean => f > 0 && acceptorSites.filter((site) => sites.has(site)).length < majority;
  return {
    protocol: 'paxos-commit', txid, roles, nonBlocking: f > 0,
    start: { role: 'coordinator', input: { kind: 'START', spec, acceptors } satisfies PaxosLeaderInput },
    commands: [
      { kind: 'CANCEL', reason: { code: 'CANCELLED' } }, { kind: 'RETRY_NOW' }, { kind: 'RESOLVE', reason: { code: 'RESOLVED_BY_OPERATOR' } },
    ] satisfies PaxosLeaderInput[],
    expected: votes.includes('no') ? 'aborted' : 'committed',
    describe: (message) => describe(message as PaxosMessage),
    violation(view) {
      const chosen = chosenIn(view);
      const split = chosen.findIndex((values) => values === 'two');
      if (split >= 0) return `PAXOS: two values are chosen in instance ${split}`;
      return atomicViolation({ branches: branchesOf(view), decisions: [central(view).ended, outcomeOf(chosen)], answers: view.answers });
    },
    ended(view, sites) {
      if (excused(sites)) return true;
      const { begun, ended } = central(view);
      const branches = branchesOf(view);
      const isDecided = outcomeOf(chosenIn(view)) !== null || branches.some(({ decided }) => decided !== null);
      // END needs every yes-voter's ACK; the dead give none, and who asks meanwhile is answered all the same.
      const waitsForTheDead = isDecided && votes.some((_, i) => !sites.has(`p${i}`));
      if (begun !== null && ended === null && sites.has('coordinator') && !waitsForTheDead) return false;
      return branches.every(({ vote, decided }, i) => vote === null || vote === 'read-only' || decided !== null || !sites.has(`p${i}`));
    },
    leftover(view, sites) {
      if (excused(sites)) return null;
      const branches = branchesOf(view).filter((_, i) => sites.has(`p${i}`));
      const told = branches.find(({ decided }) => decided !== null)?.decided ?? null;
      return atomicLeftover(branches, central(view).ended ?? outcomeOf(chosenIn(view)) ?? told);
    },
  };
}

// ---------------------------------------------------------------- what the acceptors have chosen

type ChosenValues = InstanceValue | 'two' | null;

/** By instance: the value that a majority of acceptors has ever accepted in one ballot. */
function chosenValues(acceptors: readonly (AcceptorRows | null)[], branches: number, majority: number): ChosenValues[] {
  const chosen: ChosenValues[] = [];
  for (let branch = 0; branch < branches; branch++) {
    let found: ChosenValues = null;
    for (const acceptor of acceptors) {
      for (const vote of votesEver(acceptor, branch)) {
        if (found === vote.value || found === 'two' || supporters(acceptors, branch, vote) < majority) continue;
        found = found === null ? vote.value : 'two';
      }
    }
    chosen.push(found);
  }
  return chosen;
}

function supporters(acceptors: readonly (AcceptorRows | null)[], branch: number, { ballot, value }: Accepted): number {
  let count = 0;
  for (const acceptor of acceptors) {
    if (votesEver(acceptor, branch).some((vote) => vote.value === value && sameBallot(vote.ballot, ballot))) count += 1;
  }
  return count;
}

function votesEver(rows: AcceptorRows | null, branch: number): readonly Accepted[] {
  const last = rows?.row.accepted[branch] ?? null;
  const before = rows?.before[branch] ?? NO_VOTES;
  return last === null ? before : [last, ...before];
}

/** The commit condition of libs/protocol/src/paxos-commit/leader.ts. */
function outcomeOf(chosen: readonly ChosenValues[]): OutcomeStatus | null {
  if (chosen.includes('aborted')) return 'aborted';
  return chosen.every((value) => value === 'prepared' || value === 'read-only') ? 'committed' : null;
}

// ---------------------------------------------------------------- coordinator

/** The coordinator's tables. Every record carries the epoch and is refused once it has passed. None of them decides anything. */
interface CoordinatorRows {
  readonly begun: { readonly spec: TransactionSpec; readonly group: PaxosGroup } | null;
  readonly ballot: Ballot | null;
  readonly ended: OutcomeStatus | null;
  readonly reason: Reason | null;
}

/** An inquiry about a transaction that this instance does not have in memory: END may answer it. */
interface LookUp {
  readonly kind: 'LOOK_UP';
  readonly inquiry: Extract<ToPaxosLeader, { kind: 'INQUIRY' }>;
}

type CoordinatorInput = PaxosLeaderInput | { readonly kind: 'LOOKED_UP'; readonly answer: ToPaxosParticipant };

const NOTHING: CoordinatorRows = { begun: null, ballot: null, ended: null, reason: null };

function coordinatorRole(machines: PaxosMachines): Role<PaxosLeaderState, CoordinatorInput, PaxosLeaderRecord | LookUp, CoordinatorRows> {
  return {
    name: 'coordinator',
    site: 'coordinator',
    boot(rows) {
      if (rows === null || rows.begun === null || rows.ended !== null) return { state: null, input: null };
      return { state: null, input: { kind: 'RECOVER', ...rows.begun, ballot: rows.ballot } };
    },
    step(state, input, { nowMs, tenure }) {
      if (input.kind === 'LOOKED_UP') return { state, records: [], timers: [], messages: [{ to: `participant ${input.answer.branch}`, message: input.answer }] };
      if (state === null && input.kind === 'MESSAGE') return lookUp(input.message);
      if (state === null && input.kind !== 'START' && input.kind !== 'RECOVER') return { state, records: [], messages: [], timers: [] };
      const config: PaxosLeaderConfig = { ...LEADER, leader: IDS_PER_TENURE * tenure, address: { role: 'coordinator' }, staggerMs: 0 };
      return leaderStep(machines.leader(state, input, nowMs, config));
    },
    write(rows, record, fenced): Written<CoordinatorRows, CoordinatorInput> {
      const before = rows ?? NOTHING;
      switch (record.kind) {
        case 'BEGIN':
          return fenced || before.begun !== null ? 'refused' : { durable: { ...before, begun: { spec: record.spec, group: groupOf(record) } } };
        case 'LEAD':
          return fenced ? 'refused' : { durable: { ...before, ballot: record.ballot } };
        case 'END':
          return fenced ? 'refused' : { durable: endOf(before, record) };
        case 'LOOK_UP':
          return before.ended === null ? { durable: before } : { durable: before, input: { kind: 'LOOKED_UP', answer: answerFrom(before, record) } };
      }
    },
    answer: (state) => state?.outcome ?? null,
    read: (rows) => rows?.ended ?? null,
    label: leaderLabel,
    recordText: (record) => (record.kind === 'LOOK_UP' ? record.kind : leaderRecordText(record)),
  };
}

function groupOf({ spec, acceptors }: Extract<PaxosLeaderRecord, { kind: 'BEGIN' }>): PaxosGroup {
  return { txid: spec.txid, peers: spec.branches.map(({ participant }) => participant), acceptors };
}

function endOf(rows: CoordinatorRows, { outcome, reason }: Extract<PaxosLeaderRecord, { kind: 'END' }>): CoordinatorRows {
  if (rows.ended !== null && rows.ended !== outcome) throw new Error(`AC2: END ${outcome} after END ${rows.ended}`);
  return { ...rows, ended: outcome, reason };
}

/**
 * Everything but an inquiry is late and may be dropped. Nothing is presumed: that END is missing says nothing about what the acceptors
 * have chosen, and the branch that asks will have it found out by its own leader.
 */
function lookUp(message: ToPaxosLeader): RoleStep<PaxosLeaderState | null, LookUp> {
  return { state: null, records: message.kind === 'INQUIRY' ? [{ kind: 'LOOK_UP', inquiry: message }] : [], messages: [], timers: [] };
}

function answerFrom({ ended, reason }: CoordinatorRows, { inquiry: { protocol, txid, branch } }: LookUp): ToPaxosParticipant {
  return ended === 'committed' ? { protocol, kind: 'COMMIT', txid, branch } : { protocol, kind: 'ABORT', txid, branch, reason: reason ?? { code: 'REFUSED' } };
}

// ---------------------------------------------------------------- leaders on participants' sites

interface LeaderRows {
  readonly group: PaxosGroup;
  readonly ballot: Ballot;
}

function leaderRole(index: number, machines: PaxosMachines): Role<PaxosLeaderState, PaxosLeaderInput, PaxosLeaderRecord, LeaderRows> {
  const config: PaxosLeaderConfig = { ...LEADER, leader: 1 + index, address: { role: 'leader', name: `p${index}` }, staggerMs: STAGGER_MS * (1 + index) };
  return {
    name: `leader ${index}`,
    site: `p${index}`,
    boot: (rows) => ({ state: rows === null ? null : restingLeader(rows.group, rows.ballot), input: null }),
    step: (state, input, { nowMs }) => leaderStep(machines.leader(state, input, nowMs, config)),
    write(rows, record) {
      if (record.kind !== 'LEAD') throw new Error(`a leader on a participant's site has nowhere to write ${record.kind}`);
      // Two processes in front of one participant's database are one leader: a ballot that was taken is taken for both.
      if (rows !== null && compareBallots(record.ballot, rows.ballot) <= 0) return 'refused';
      return { durable: { group: record.group, ballot: record.ballot } };
    },
    label: leaderLabel,
    recordText: leaderRecordText,
  };
}

function leaderStep({ state, ready }: ReturnType<typeof stepPaxosLeader>): RoleStep<PaxosLeaderState, PaxosLeaderRecord> {
  return { state, records: ready.records, timers: ready.timers, messages: ready.messages.map(toRole) };
}

function leaderLabel(state: PaxosLeaderState | null): string {
  if (state === null) return 'not loaded';
  return state.phase === 'reading' || state.phase === 'writing' ? `${state.phase} ${ballotText(state.ballot)}` : state.phase;
}

function leaderRecordText(record: PaxosLeaderRecord): string {
  switch (record.kind) {
    case 'BEGIN': return record.kind;
    case 'LEAD': return `LEAD ${ballotText(record.ballot)}`;
    case 'END': return `END ${record.outcome}${record.reason ? ` ${record.reason.code}` : ''}`;
  }
}

// ---------------------------------------------------------------- acceptors

/** An acceptor's row, and for the checkers the votes that it has overwritten, by branch: what was chosen once stays chosen. */
interface AcceptorRows {
  readonly row: AcceptorRow;
  readonly before: readonly (readonly Accepted[])[];
}

const NO_VOTES: readonly Accepted[] = [];

function acceptorRole(index: number, site: SiteName, machines: PaxosMachines): Role<AcceptorState, AcceptorInput, AcceptorRecord, AcceptorRows> {
  const config: AcceptorConfig = { name: `a${index}` };
  return {
    name: `acceptor ${index}`,
    site,
    boot: (rows) => ({ state: rows === null ? null : { phase: 'stored', row: rows.row }, input: null }),
    step(state, input, { nowMs }) {
      const { state: next, ready } = machines.acceptor(state, input, nowMs, config);
      return { state: next, records: ready.records, timers: ready.timers, messages: ready.messages.map(toRole) };
    },
    // On the coordinator's site an owner that was replaced has an old row in memory: its write must not undo a promise.
    write: (rows, { row }, fenced) => (fenced ? 'refused' : { durable: { row, before: overwritten(rows, row) } }),
    label: (state) => (state === null ? 'none' : state.phase === 'gathering' ? 'gathering' : rowText(state.row)),
    recordText: ({ row }) => rowText(row),
  };
}

function overwritten(rows: AcceptorRows | null, next: AcceptorRow): AcceptorRows['before'] {
  if (rows === null) return next.accepted.map(() => NO_VOTES);
  return rows.before.map((votes, branch) => {
    const last = rows.row.accepted[branch] ?? null;
    const now = next.accepted[branch] ?? null;
    return last === null || (now !== null && sameBallot(last.ballot, now.ballot)) ? votes : [last, ...votes];
  });
}

function rowText({ promised, accepted }: AcceptorRow): string {
  const now = accepted.every((vote) => vote !== null && sameBallot(vote.ballot, promised));
  return now ? `accepted ${ballotText(promised)} ${accepted.map((vote) => vote!.value).join(', ')}` : `promised ${ballotText(promised)}`;
}

// ---------------------------------------------------------------- participants

/** A participant's tables: the branch row, and what the shop's own rows hold and have applied for it. */
interface BranchRows {
  readonly row: PaxosBranchRow | null;
  readonly held: number;
  readonly applied: number;
}

function participantRole(index: number, vote: VoteKind, machines: PaxosMachines): Role<PaxosParticipantState, PaxosParticipantInput, BranchRows, BranchRows> {
  const config: PaxosParticipantConfig = { ...PARTICIPANT, name: `p${index}`, staggerMs: STAGGER_MS * index };
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

function branchStep({ state, ready }: ReturnType<typeof stepPaxosParticipant>, effect: ReturnType<typeof effectOf>): RoleStep<PaxosParticipantState, BranchRows> {
  const row = ready.records.at(-1)?.row ?? null;
  const { held, applied, stock } = effect ?? { held: 0, applied: 0, stock: 0 };
  return { state, records: row || effect ? [{ row, held, applied }] : [], messages: ready.messages.map(toRole), timers: ready.timers, stock };
}

/** What a branch's rows say about it. */
function factsOf(rows: BranchRows | null): BranchFacts {
  const row = rows?.row ?? null;
  const decided = row?.state === 'committed' || row?.state === 'aborted' ? row.state : null;
  return { vote: voteOf(row), decided, held: rows?.held ?? 0, applied: rows?.applied ?? 0 };
}

function voteOf(row: PaxosBranchRow | null): VoteKind | null {
  if (row === null) return null;
  if (row.state === 'read-only') return 'read-only';
  return row.state === 'aborted' ? 'no' : 'yes';
}

// ---------------------------------------------------------------- messages

/** `p1`, `a2` -> `participant 1`, `acceptor 2`, `leader 1`. */
function toRole({ to, message }: { readonly to: PaxosAddress; readonly message: PaxosMessage }): Sent {
  return { to: to.role === 'coordinator' ? to.role : `${to.role} ${to.name.slice(1)}`, message };
}

function ballotText({ n, leader }: Ballot): string {
  return `(${n}, ${leader})`;
}

function describe(message: PaxosMessage): string {
  switch (message.kind) {
    case 'PHASE_1A': return `PHASE_1A ${ballotText(message.ballot)}`;
    case 'PHASE_1B': return `PHASE_1B ${ballotText(message.ballot)} ${message.accepted.map((vote) => vote?.value ?? '-').join(', ')}`;
    case 'PHASE_2A': return `PHASE_2A ${ballotText(message.ballot)} ${message.values.map((value) => value ?? '-').join(', ')}`;
    case 'PHASE_2B': return `PHASE_2B ${ballotText(message.ballot)} ${message.values.join(', ')}`;
    case 'REFUSED': return `REFUSED ${ballotText(message.ballot)}, promised ${ballotText(message.promised)}`;
    case 'VOTE': return `VOTE ${message.vote}`;
    case 'ABORT': return `ABORT ${message.reason.code}`;
    default: return message.kind;
  }
}
