import {
  stepSagaCoordinator, stepSagaParticipant, type SagaCoordinatorState, type SagaCoordinatorStep, type SagaParticipantStep, type SagaSpec,
} from '#libs/protocol';
import { saga, SAGA_MACHINES, type SagaMachines, type SagaTransaction } from '../systems/saga.js';
import type { Mutant } from './mutant.js';

type StepCoordinator = SagaMachines['coordinator'];
type StepParticipant = SagaMachines['participant'];

function mutant(name: string, breaks: string, machines: Partial<SagaMachines>): Mutant<SagaTransaction> {
  return { name, breaks, protocol: 'saga', system: (transaction) => saga(transaction, { ...SAGA_MACHINES, ...machines }) };
}

type BrokenCoordinator = (correct: StepCoordinator, ...args: Parameters<StepCoordinator>) => SagaCoordinatorStep;
type BrokenParticipant = (correct: StepParticipant, ...args: Parameters<StepParticipant>) => SagaParticipantStep;

function coordinator(name: string, breaks: string, broken: BrokenCoordinator): Mutant<SagaTransaction> {
  return mutant(name, breaks, { coordinator: (...args) => broken(stepSagaCoordinator, ...args) });
}

function participant(name: string, breaks: string, broken: BrokenParticipant): Mutant<SagaTransaction> {
  return mutant(name, breaks, { participant: (...args) => broken(stepSagaParticipant, ...args) });
}

export const sagaMutants: readonly Mutant<SagaTransaction>[] = [
  // ---------------------------------------------------------------- coordinator
  coordinator('sent-is-not-recorded', 'EXECUTE leaves although no SENT record says so', (correct, ...args) => {
    const step = correct(...args);
    return { ...step, ready: { ...step.ready, records: step.ready.records.filter(({ kind }) => kind !== 'SENT') } };
  }),
  coordinator('acts-on-own-proposal', 'the coordinator acts on what it proposed instead of what the register holds', (correct, state, input, nowMs) => {
    if (input.kind !== 'REGISTERED' || state?.phase !== 'deciding') return correct(state, input, nowMs);
    return correct(state, { ...input, decision: state.reason === null ? 'COMMIT' : 'ABORT', reason: state.reason }, nowMs);
  }),
  coordinator('compensates-in-forward-order', 'a step is compensated before the steps that depend on it', (correct, state, input, nowMs) => {
    if (!state || (state.phase !== 'compensating' && !(input.kind === 'REGISTERED' && input.decision === 'ABORT'))) return correct(state, input, nowMs);
    const step = correct({ ...state, spec: reversed(state.spec) }, input, nowMs);
    return { ...step, state: { ...step.state, spec: state.spec } };
  }),
  coordinator('retriable-with-the-pivot', 'the retriable steps after the pivot are sent together with it, before the register holds COMMIT', (correct, ...args) => {
    const step = correct(...args);
    if (!step.ready.messages.some(({ message }) => message.kind === 'EXECUTE' && message.stepKind === 'pivot')) return step;
    return { ...step, ready: { ...step.ready, messages: [...step.ready.messages, ...retriableMessages(step.state)] } };
  }),
  coordinator('aborts-although-the-pivot-may-have-run', 'a saga that gives up does not ask the pivot that it has sent', (correct, state, input, nowMs) => {
    if (input.kind === 'RECOVER' && nowMs >= input.spec.deadlineMs) {
      const pivot = input.spec.steps.find(({ kind }) => kind === 'pivot');
      return correct(state, { ...input, sent: input.sent.filter((sent) => sent.step !== pivot?.id) }, nowMs);
    }
    const step = correct(state, input, nowMs);
    if (state?.phase !== 'running' || step.state.phase !== 'cancelling') return step;
    return correct(withStates(state, (of, kind) => (kind === 'pivot' ? 'waiting' : of)), { kind: 'CANCEL', reason: step.state.reason! }, nowMs);
  }),
  coordinator('forgets-steps-in-flight', 'only steps that are known to have executed are compensated', (correct, state, input, nowMs) => {
    if (input.kind !== 'REGISTERED' || input.decision !== 'ABORT' || state?.phase !== 'deciding') return correct(state, input, nowMs);
    return correct(withStates(state, (of) => (of === 'sent' ? 'waiting' : of)), input, nowMs);
  }),
  coordinator('gives-compensations-up', 'a compensation without an answer counts as done after three attempts', (correct, state, input, nowMs) => {
    if (state?.phase !== 'compensating' || input.kind !== 'TIMER') return correct(state, input, nowMs);
    const branch = state.spec.steps.findIndex(({ id }) => input.timer === `step:${id}`);
    const of = state.steps[branch];
    if (of?.state !== 'compensating' || of.attempts < 3) return correct(state, input, nowMs);
    const message = { protocol: 'saga', kind: 'COMPENSATED', txid: state.spec.txid, branch, step: state.spec.steps[branch]!.id } as const;
    return correct(state, { kind: 'MESSAGE', message }, nowMs);
  }),
  coordinator('retriable-steps-are-given-up', 'a retriable step without an answer counts as done after three attempts', (correct, state, input, nowMs) => {
    if (state?.phase !== 'completing' || input.kind !== 'TIMER') return correct(state, input, nowMs);
    const branch = state.spec.steps.findIndex(({ id }) => input.timer === `step:${id}`);
    const of = state.steps[branch];
    if (of?.state !== 'sent' || of.attempts < 3) return correct(state, input, nowMs);
    const message = { protocol: 'saga', kind: 'EXECUTED', txid: state.spec.txid, branch, step: state.spec.steps[branch]!.id, result: null } as const;
    return correct(state, { kind: 'MESSAGE', message }, nowMs);
  }),
  coordinator('never-repeats-a-compensation', 'COMPENSATE is sent once, without a timer', (correct, ...args) => {
    const step = correct(...args);
    if (step.state.phase !== 'compensating') return step;
    return { ...step, ready: { ...step.ready, timers: step.ready.timers.filter((timer) => !('set' in timer)) } };
  }),
  mutant('a-replaced-owner-may-abort', 'the store takes DECIDE ABORT from an owner that was replaced and cannot know what its successor has sent', {
    isFenced: ({ kind }) => kind !== 'DECIDE',
  }),
  mutant('a-replaced-owner-may-send', 'the store takes SENT from an owner that was replaced', {
    isFenced: (record) => record.kind !== 'SENT' && SAGA_MACHINES.isFenced(record),
  }),
  // ---------------------------------------------------------------- participant
  participant('no-tombstone', 'a COMPENSATE or CANCEL_STEP that finds no row is answered without writing one', (correct, state, input, nowMs, config) => {
    const step = correct(state, input, nowMs, config);
    const tombstone = step.ready.records.some(({ row }) => row.state === 'cancelled');
    return tombstone ? { state, ready: { ...step.ready, records: [] } } : step;
  }),
  participant('executes-after-the-tombstone', 'an EXECUTE runs although its compensation came first', (correct, state, input, nowMs, config) => {
    const late = input.kind === 'MESSAGE' && input.message.kind === 'EXECUTE' && state.phase === 'stored' && state.row.state === 'cancelled';
    return correct(late ? { phase: 'none' } : state, input, nowMs, config);
  }),
  participant('executes-again', 'a repeated EXECUTE runs the handler again', (correct, state, input, nowMs, config) => {
    const again = input.kind === 'MESSAGE' && input.message.kind === 'EXECUTE' && state.phase === 'stored' && state.row.state === 'executed';
    return correct(again ? { phase: 'none' } : state, input, nowMs, config);
  }),
  participant('compensates-again', 'a repeated COMPENSATE runs the handler again', (correct, state, input, nowMs, config) => {
    const again = input.kind === 'MESSAGE' && input.message.kind === 'COMPENSATE' && state.phase === 'stored' && state.row.state === 'compensated';
    return correct(again ? { phase: 'stored', row: { ...state.row, state: 'executed' } } : state, input, nowMs, config);
  }),
  participant('cancels-an-executed-pivot', 'CANCEL_STEP is answered CANCELLED although the pivot has executed', (correct, state, input, nowMs, config) => {
    const step = correct(state, input, nowMs, config);
    if (input.kind !== 'MESSAGE' || input.message.kind !== 'CANCEL_STEP') return step;
    const { txid, branch, step: id } = input.message;
    return { ...step, ready: { ...step.ready, messages: [{ to: { role: 'coordinator' }, message: { protocol: 'saga', kind: 'CANCELLED', txid, branch, step: id } }] } };
  }),
];

// ---------------------------------------------------------------- parts

type StepState = SagaCoordinatorState['steps'][number]['state'];

function withStates(state: SagaCoordinatorState, as: (of: StepState, kind: SagaSpec['steps'][number]['kind']) => StepState): SagaCoordinatorState {
  return { ...state, steps: state.steps.map((step, i) => ({ ...step, state: as(step.state, state.spec.steps[i]!.kind) })) };
}

/** The same steps with every arrow between compensatable steps turned round. */
function reversed(spec: SagaSpec): SagaSpec {
  const before = spec.steps.map(({ after }, i) => after ?? (i === 0 ? [] : [spec.steps[i - 1]!.id]));
  const behind = (id: string) => spec.steps.filter(({ kind }, j) => kind === 'compensatable' && before[j]!.includes(id)).map((step) => step.id);
  return { ...spec, steps: spec.steps.map((step) => ({ ...step, after: step.kind === 'compensatable' ? behind(step.id) : [] })) };
}

function retriableMessages({ spec }: SagaCoordinatorState): SagaCoordinatorStep['ready']['messages'] {
  return spec.steps.flatMap(({ id, kind, participant: name, operation, payload }, branch) => (kind !== 'retriable' ? [] : [{
    to: { role: 'participant', name },
    message: { protocol: 'saga', kind: 'EXECUTE', txid: spec.txid, branch, step: id, stepKind: kind, operation, payload, inputs: {} },
  } as const]));
}
