import { stepCoordinator, stepParticipant, type BranchRow, type CoordinatorStep, type Decision, type ParticipantStep } from '#libs/protocol';
import type { Role, System } from '../system.js';
import { twoPhaseCommit, type Transaction, type TwoPhaseMachines } from '../systems/two-phase-commit.js';
import type { Mutant } from './mutant.js';

type StepCoordinator = TwoPhaseMachines['coordinator'];
type StepParticipant = TwoPhaseMachines['participant'];

const CORRECT: TwoPhaseMachines = { coordinator: stepCoordinator, participant: stepParticipant };

function coordinator(name: string, breaks: string, broken: (correct: StepCoordinator, ...args: Parameters<StepCoordinator>) => CoordinatorStep): Mutant {
  const machines = { ...CORRECT, coordinator: (...args: Parameters<StepCoordinator>) => broken(stepCoordinator, ...args) };
  return { name, breaks, protocol: '2pc', system: (transaction) => twoPhaseCommit(transaction, machines) };
}

function participant(name: string, breaks: string, broken: (correct: StepParticipant, ...args: Parameters<StepParticipant>) => ParticipantStep): Mutant {
  const machines = { ...CORRECT, participant: (...args: Parameters<StepParticipant>) => broken(stepParticipant, ...args) };
  return { name, breaks, protocol: '2pc', system: (transaction) => twoPhaseCommit(transaction, machines) };
}

/** The machines are right, the store under the coordinator is not. */
function store(name: string, breaks: string, broken: (correct: Role['write'], ...args: Parameters<Role['write']>) => ReturnType<Role['write']>): Mutant {
  return { name, breaks, protocol: '2pc', system: (transaction) => withCoordinator(twoPhaseCommit(transaction), broken) };
}

function withCoordinator(system: System, broken: (correct: Role['write'], ...args: Parameters<Role['write']>) => ReturnType<Role['write']>): System {
  return { ...system, roles: system.roles.map((role) => (role.name === 'coordinator' ? { ...role, write: (...args) => broken(role.write, ...args) } : role)) };
}

type Durable = { readonly register: { readonly decision: Decision } | null } | null;

export const twoPhaseCommitMutants: readonly Mutant<Transaction>[] = [
  coordinator('acts-on-own-proposal', 'the coordinator acts on what it proposed instead of what the register holds', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'REGISTERED' || !state) return correct(state, input, nowMs, config);
    const decision: Decision = state.branches.every(({ vote }) => vote === 'yes' || vote === 'read-only') ? 'COMMIT' : 'ABORT';
    return correct(state, { ...input, decision }, nowMs, config);
  }),
  coordinator('commits-at-timeout', 'the coordinator proposes COMMIT when votes are missing at the prepare timeout', (correct, ...args) => {
    const step = correct(...args);
    if (args[1].kind !== 'TIMER' || args[1].timer !== 'prepare-timeout') return step;
    return proposing(step, 'COMMIT');
  }),
  coordinator('counts-no-as-yes', 'the coordinator counts a NO as a yes', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'VOTE') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, vote: 'yes' } }, nowMs, config);
  }),
  coordinator('commits-on-a-majority-of-votes', 'the coordinator proposes COMMIT when more than half of the branches voted yes', (correct, state, input, nowMs, config) => {
    const step = correct(state, input, nowMs, config);
    const yes = step.state.branches.filter(({ vote }) => vote === 'yes').length;
    if (step.state.phase !== 'preparing' || yes * 2 <= step.state.branches.length) return step;
    const { txid } = step.state.spec;
    const decide = { kind: 'DECIDE', txid, decision: 'COMMIT', reason: null, branches: step.state.branches, atMs: nowMs } as const;
    return { state: { ...step.state, phase: 'deciding' }, ready: { ...step.ready, records: [decide], timers: [{ cancel: 'prepare-timeout' }] } };
  }),
  coordinator('aborts-although-all-agree', 'the coordinator proposes ABORT although every branch voted yes', (correct, ...args) => proposing(correct(...args), 'ABORT')),
  coordinator('makes-up-one-phase-outcomes', 'the coordinator takes a silent one-phase participant for aborted', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'TIMER' || state?.phase !== 'one-phase') return correct(state, input, nowMs, config);
    const { txid } = state.spec;
    return correct(state, { kind: 'MESSAGE', message: { kind: 'ONE_PHASE_OUTCOME', txid, branch: 0, outcome: 'aborted' } }, nowMs, config);
  }),
  coordinator('never-repeats-a-decision', 'the coordinator sends its decision once and sets no timer', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, timers: step.ready.timers.filter((timer) => !('set' in timer) || timer.set !== 'resend') } };
  }),
  coordinator('answers-before-deciding', 'the coordinator tells its client `committed` when the last vote arrives, before the register has spoken', (correct, ...args) => {
    const step = correct(...args);
    const proposes = step.ready.records.some((record) => record.kind === 'DECIDE' && record.decision === 'COMMIT');
    return proposes ? { ...step, state: { ...step.state, outcome: 'committed' } } : step;
  }),
  store('presumes-without-the-register', 'an inquiry about a transaction that is not in memory is answered ABORT without asking the register', (correct, durable, record, fenced) => {
    const { kind, branch, decide } = record as { readonly kind: string; readonly branch: number; readonly decide: { readonly txid: string } };
    if (kind !== 'PRESUME') return correct(durable, record, fenced);
    return { durable, input: { kind: 'PRESUMED', txid: decide.txid, branch, register: { decision: 'ABORT', reason: null, branches: [], atMs: 0 } } };
  }),
  store('register-can-be-overwritten', 'the register takes the last decision instead of the first', (correct, durable, record, fenced) => {
    if ((record as { readonly kind: string }).kind !== 'DECIDE') return correct(durable, record, fenced);
    return correct({ ...(durable as NonNullable<Durable>), register: null }, record, fenced);
  }),
  participant('votes-before-the-row-is-durable', 'a YES leaves although its row was never written', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.filter(({ row }) => row.state !== 'prepared') } };
  }),
  participant('never-inquires', 'a branch in doubt sets no timer', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, timers: [] } };
  }),
  participant('prepares-again', 'a repeated PREPARE runs the handler again', (correct, state, input, nowMs, config) => {
    const again = input.kind === 'MESSAGE' && input.message.kind === 'PREPARE' && state.phase === 'stored' && state.row.state === 'prepared';
    return correct(again ? { phase: 'none' } : state, input, nowMs, config);
  }),
  participant('aborts-alone-in-doubt', 'a branch in doubt aborts when its inquiry is not answered', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'TIMER' || state.phase !== 'stored' || state.row.state !== 'prepared') return correct(state, input, nowMs, config);
    const { txid, branch } = state.row;
    return correct(state, { kind: 'MESSAGE', message: { kind: 'ABORT', txid, branch, reason: { code: 'TIRED' } } }, nowMs, config);
  }),
  participant('tells-a-peer-what-it-did-not-record', 'a branch that has not voted tells a peer `aborted` without recording it', (correct, state, input, nowMs, config) => {
    const step = correct(state, input, nowMs, config);
    const promised = input.kind === 'MESSAGE' && input.message.kind === 'PEER_INQUIRY' && state.phase === 'none';
    return promised ? { state, ready: { ...step.ready, records: [] } } : step;
  }),
  participant('believes-an-uncertain-peer', 'a branch takes an uncertain peer for an aborted one', (correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'PEER_STATE' || input.message.state !== 'uncertain') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, state: 'aborted' } }, nowMs, config);
  }),
  participant('applies-without-changing-its-row', 'a branch applies COMMIT but its row still says prepared', (correct, ...args) => {
    const prepared = (row: BranchRow): BranchRow => (row.state === 'committed' && !row.onePhase ? { ...row, state: 'prepared' } : row);
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.map((record) => ({ ...record, row: prepared(record.row) })) } };
  }),
  participant('runs-work-after-its-abort', 'a late PREPARE is run although an ABORT has overtaken it', (correct, state, input, nowMs, config) => {
    const late = input.kind === 'MESSAGE' && input.message.kind === 'PREPARE' && state.phase === 'stored' && state.row.operation === '';
    return correct(late ? { phase: 'none' } : state, input, nowMs, config);
  }),
];

function proposing(step: CoordinatorStep, decision: Decision): CoordinatorStep {
  const reason = decision === 'ABORT' ? { code: 'SHY' } : null;
  const records = step.ready.records.map((record) => (record.kind === 'DECIDE' ? { ...record, decision, reason } : record));
  return { ...step, ready: { ...step.ready, records } };
}
