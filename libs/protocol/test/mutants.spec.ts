/** Tests of the tests: each machine below breaks one rule of the protocol, and the properties must find it. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BranchRow, Decision, ParticipantStep } from '../src/index.js';
import { MACHINES, type Machines } from './network.js';
import { survivesFaults, votesDecide } from './properties.js';

type StepCoordinator = Machines['coordinator'];
type StepParticipant = Machines['participant'];
type Property = typeof survivesFaults | typeof votesDecide;

/** What the broken machine makes the properties say, and the property that says it. */
function findsFault(property: Property, mutant: Partial<Machines>): string {
  const run = fc.check<readonly unknown[]>(property({ ...MACHINES, ...mutant }) as fc.IProperty<readonly unknown[]>, { numRuns: 20_000, endOnFailure: true, seed: 1 });
  return run.failed ? String(run.errorInstance) : 'nothing found';
}

const coordinator = (broken: (correct: StepCoordinator, ...args: Parameters<StepCoordinator>) => ReturnType<StepCoordinator>): Partial<Machines> => (
  { coordinator: (...args) => broken(MACHINES.coordinator, ...args) }
);
const participant = (broken: (correct: StepParticipant, ...args: Parameters<StepParticipant>) => ReturnType<StepParticipant>): Partial<Machines> => (
  { participant: (...args) => broken(MACHINES.participant, ...args) }
);

test('a coordinator that acts on its own proposal instead of the register is caught (AC1)', () => {
  const mutant = coordinator((correct, state, input, nowMs, config) => {
    if (input.kind !== 'REGISTERED' || !state) return correct(state, input, nowMs, config);
    const decision: Decision = state.branches.every(({ vote }) => vote === 'yes' || vote === 'read-only') ? 'COMMIT' : 'ABORT';
    return correct(state, { ...input, decision }, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC1');
});

test('a coordinator that proposes COMMIT at the prepare timeout is caught (AC3)', () => {
  const mutant = coordinator((correct, ...args) => {
    const step = correct(...args);
    if (args[1].kind !== 'TIMER' || args[1].timer !== 'prepare-timeout') return step;
    const records = step.ready.records.map((record) => (record.kind === 'DECIDE' ? { ...record, decision: 'COMMIT', reason: null } as const : record));
    return { ...step, ready: { ...step.ready, records } };
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC3');
});

test('a coordinator that counts a NO as a yes is caught (AC1, AC3)', () => {
  const mutant = coordinator((correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'VOTE') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, vote: 'yes' } }, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toMatch(/AC1|AC3/);
});

test('a coordinator that aborts although every branch agrees is caught (AC4)', () => {
  const mutant = coordinator((correct, ...args) => {
    const step = correct(...args);
    const records = step.ready.records.map((record) => (record.kind === 'DECIDE' ? { ...record, decision: 'ABORT', reason: { code: 'SHY' } } as const : record));
    return { ...step, ready: { ...step.ready, records } };
  });
  expect(findsFault(votesDecide, mutant)).toContain('AC4');
});

test('a coordinator that makes up the outcome of a silent one-phase participant is caught (AC1)', () => {
  const mutant = coordinator((correct, state, input, nowMs, config) => {
    if (input.kind !== 'TIMER' || state?.phase !== 'one-phase') return correct(state, input, nowMs, config);
    const { txid } = state.spec;
    return correct(state, { kind: 'MESSAGE', message: { kind: 'ONE_PHASE_OUTCOME', txid, branch: 0, outcome: 'aborted' } }, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC1');
});

test('a coordinator that never repeats a decision is caught (AC5: it never ends)', () => {
  const mutant = coordinator((correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, timers: step.ready.timers.filter((timer) => !('set' in timer) || timer.set !== 'resend') } };
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC5: begun but not ended');
});

test('a participant that votes yes without a durable row is caught', () => {
  const mutant = participant((correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.filter(({ row }) => row.state !== 'prepared') } };
  });
  expect(findsFault(survivesFaults, mutant)).toMatch(/EFFECTS|AC3|no rule/);
});

test('a participant that never inquires is caught (AC5: left prepared)', () => {
  const mutant = participant((correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, timers: [] } };
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC5: a branch is left prepared');
});

test('a participant that runs the handler again for a repeated PREPARE is caught (more than one effect)', () => {
  const mutant = participant((correct, state, input, nowMs, config) => {
    const again = input.kind === 'MESSAGE' && input.message.kind === 'PREPARE' && state.phase === 'stored' && state.row.state === 'prepared';
    return correct(again ? { phase: 'none' } : state, input, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toContain('EFFECTS');
});

test('a participant in doubt that aborts alone is caught (AC1)', () => {
  const mutant = participant((correct, state, input, nowMs, config) => {
    if (input.kind !== 'TIMER' || state.phase !== 'stored' || state.row.state !== 'prepared') return correct(state, input, nowMs, config);
    const { txid, branch } = state.row;
    return correct(state, { kind: 'MESSAGE', message: { kind: 'ABORT', txid, branch, reason: { code: 'TIRED' } } }, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toContain('AC1');
});

test('a participant that tells a peer `aborted` without recording it is caught', () => {
  const mutant = participant((correct, state, input, nowMs, config): ParticipantStep => {
    const step = correct(state, input, nowMs, config);
    const promised = input.kind === 'MESSAGE' && input.message.kind === 'PEER_INQUIRY' && state.phase === 'none';
    return promised ? { state, ready: { ...step.ready, records: [] } } : step;
  });
  expect(findsFault(survivesFaults, mutant)).toMatch(/AC1|AC3|UNEXPECTED|no rule/);
});

test('a participant that believes an uncertain peer is caught (AC1)', () => {
  const mutant = participant((correct, state, input, nowMs, config) => {
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'PEER_STATE' || input.message.state !== 'uncertain') return correct(state, input, nowMs, config);
    return correct(state, { ...input, message: { ...input.message, state: 'aborted' } }, nowMs, config);
  });
  expect(findsFault(survivesFaults, mutant)).toMatch(/AC1|no rule/);
});

test('a participant that applies the decision without changing its row is caught (more than one effect)', () => {
  const prepared = (row: BranchRow): BranchRow => (row.state === 'committed' && !row.onePhase ? { ...row, state: 'prepared' } : row);
  const mutant = participant((correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.map((record) => ({ ...record, row: prepared(record.row) })) } };
  });
  expect(findsFault(survivesFaults, mutant)).toMatch(/EFFECTS|AC5/);
});

test('the correct machines pass the same search', () => {
  expect([findsFault(survivesFaults, {}), findsFault(votesDecide, {})]).toEqual(['nothing found', 'nothing found']);
});
