/** What a saga's state says about its steps: who is due, who is in the way, what is known. */
import { graphOf } from './definition.js';
import type { SagaInputs } from './messages.js';
import type { SagaCoordinatorState, SagaProgress, SagaSent, SagaSpec, SagaStepReport } from './types.js';

const WAITING: SagaProgress = { state: 'waiting', inputs: null, result: null, reason: null, attempts: 0, sinceMs: null };

export function blankSteps({ steps }: SagaSpec): readonly SagaProgress[] {
  return steps.map(() => WAITING);
}

/** What the records tell. A step whose result went into another one's inputs is known to be done; all else that was sent is not. */
export function stepsFromRecords(spec: SagaSpec, sent: readonly SagaSent[], skipped: readonly string[]): readonly SagaProgress[] {
  const inputs = new Map(sent.map((record) => [record.step, record.inputs]));
  const results = new Map(sent.flatMap((record) => Object.entries(record.inputs)));
  return spec.steps.map(({ id }) => {
    const known = { ...WAITING, inputs: inputs.get(id) ?? null };
    if (skipped.includes(id)) return { ...known, state: 'skipped' };
    if (results.has(id)) return { ...known, state: 'done', result: results.get(id)! };
    return inputs.has(id) ? { ...known, state: 'sent' } : WAITING;
  });
}

/** Adds what the owner that decided knew of steps whose answer is missing here. */
export function mergeReports(steps: readonly SagaProgress[], reports: readonly SagaStepReport[]): readonly SagaProgress[] {
  return steps.map((own, i) => {
    const report = reports[i];
    if (own.state !== 'sent' || (report?.state !== 'done' && report?.state !== 'refused')) return own;
    return { ...own, state: report.state, result: report.result, reason: report.reason };
  });
}

export function reportsOf({ steps }: SagaCoordinatorState): readonly SagaStepReport[] {
  return steps.map(({ state, result, reason, attempts }) => ({ state, result, reason, attempts }));
}

export function stepsIn(state: SagaCoordinatorState, where: SagaProgress['state']): readonly number[] {
  const places: number[] = [];
  for (let i = 0; i < state.steps.length; i++) if (state.steps[i]!.state === where) places.push(i);
  return places;
}

/** The place of the pivot if its EXECUTE may have left and its outcome is not known; else -1. */
export function pivotInFlight(state: SagaCoordinatorState): number {
  const { pivot } = graphOf(state.spec);
  return pivot >= 0 && state.steps[pivot]!.state === 'sent' ? pivot : -1;
}

/** COMMIT may be proposed: the pivot has executed or, without one, every compensatable step. */
export function readyToCommit(state: SagaCoordinatorState): boolean {
  const { pivot } = graphOf(state.spec);
  return pivot >= 0 ? state.steps[pivot]!.state === 'done' : compensatablesDone(state);
}

/**
 * Steps whose EXECUTE is due. Before the decision no retriable step is. Indirect dependencies count as well: a step that was skipped
 * does not let those behind it overtake those before it.
 */
export function stepsToSend(state: SagaCoordinatorState): readonly number[] {
  const { ancestors } = graphOf(state.spec);
  const undecided = state.phase === 'running';
  return stepsIn(state, 'waiting').filter((i) => {
    if (undecided && state.spec.steps[i]!.kind === 'retriable') return false;
    return ancestors[i]!.every((j) => isDone(state.steps[j]!));
  });
}

/** Results of the earlier steps that step i depends on. A skipped step has none. */
export function inputsOf(state: SagaCoordinatorState, i: number): SagaInputs {
  // Not by assignment, which takes `__proto__` for something else than an id.
  return Object.fromEntries(graphOf(state.spec).ancestors[i]!.flatMap((j) => {
    const { state: of, result } = state.steps[j]!;
    return of === 'done' ? [[state.spec.steps[j]!.id, result]] : [];
  }));
}

export function isComplete({ steps }: SagaCoordinatorState): boolean {
  return steps.every(isDone);
}

/** May have an effect that is not known to be undone. Under ABORT the pivot and retriable steps have none. */
export function needsCompensation(state: SagaCoordinatorState, i: number): boolean {
  const of = state.steps[i]!.state;
  return state.spec.steps[i]!.kind === 'compensatable' && (of === 'sent' || of === 'done' || of === 'compensating');
}

/** Steps whose COMPENSATE is due: everything that depends on them has been compensated (reverse dependency order). */
export function stepsToCompensate(state: SagaCoordinatorState): readonly number[] {
  const { descendants } = graphOf(state.spec);
  return state.steps.flatMap(({ state: of }, i) => {
    if (of === 'compensating' || !needsCompensation(state, i)) return [];
    return descendants[i]!.some((j) => needsCompensation(state, j)) ? [] : [i];
  });
}

export function isCompensated(state: SagaCoordinatorState): boolean {
  return state.steps.every((_, i) => !needsCompensation(state, i));
}

function isDone({ state }: SagaProgress): boolean {
  return state === 'done' || state === 'skipped';
}

function compensatablesDone({ spec, steps }: SagaCoordinatorState): boolean {
  return spec.steps.every(({ kind }, i) => kind !== 'compensatable' || steps[i]!.state === 'done');
}
