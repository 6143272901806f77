/** What makes a saga's definition valid, and the order that it prescribes. */
import type { SagaSpec, SagaStepSpec } from './types.js';

export const MAX_SAGA_STEPS = 100;

export type SagaProblemCode =
  | 'EMPTY' | 'TOO_MANY_STEPS' | 'DUPLICATE_ID' | 'UNKNOWN_STEP' | 'CYCLE' | 'SECOND_PIVOT'
  | 'COMPENSATABLE_AFTER_PIVOT' | 'COMPENSATABLE_AFTER_RETRIABLE' | 'RETRIABLE_NOT_AFTER_PIVOT';

export interface SagaProblem {
  readonly code: SagaProblemCode;
  /** `steps`, `steps[2]`, `steps[2].id`, `steps[2].after[0]`. */
  readonly path: string;
  readonly message: string;
}

type Steps = readonly Pick<SagaStepSpec, 'id' | 'kind' | 'after'>[];

/**
 * Everything that is wrong with a definition; empty when it is valid. The steps must form a directed acyclic graph with at most one
 * pivot; no compensatable step may come after the pivot or after a retriable one, directly or not, and with a pivot every retriable
 * step must come after it (Garcia-Molina and Salem 1987, section 8, for the graph; Mehrotra and others 1992 for the kinds). The rules
 * on kinds are only checked on an acyclic graph.
 */
export function checkSaga({ steps }: { readonly steps: Steps }): readonly SagaProblem[] {
  if (steps.length === 0) return [{ code: 'EMPTY', path: 'steps', message: 'a saga needs at least one step' }];
  if (steps.length > MAX_SAGA_STEPS) {
    return [{ code: 'TOO_MANY_STEPS', path: 'steps', message: `${steps.length} steps; at most ${MAX_SAGA_STEPS} are allowed` }];
  }
  const names = [...duplicates(steps), ...unknowns(steps)];
  if (names.length > 0) return names;
  const before = directBefore(steps);
  const order = topologicalOrder(before);
  if (order === null) return cycles(steps, before);
  return wrongKinds(steps, closure(before, order));
}

function duplicates(steps: Steps): SagaProblem[] {
  const seen = new Set<string>();
  return steps.flatMap(({ id }, i) => {
    if (!seen.has(id)) return (seen.add(id), []);
    return [{ code: 'DUPLICATE_ID', path: `steps[${i}].id`, message: `another step has the id ${JSON.stringify(id)}` }];
  });
}

function unknowns(steps: Steps): SagaProblem[] {
  const ids = new Set(steps.map(({ id }) => id));
  return steps.flatMap(({ after }, i) => (after ?? []).flatMap((id, j): SagaProblem[] => (
    ids.has(id) ? [] : [{ code: 'UNKNOWN_STEP', path: `steps[${i}].after[${j}]`, message: `there is no step ${JSON.stringify(id)}` }]
  )));
}

function cycles(steps: Steps, before: readonly (readonly number[])[]): SagaProblem[] {
  const reach = reachable(before);
  return steps.flatMap(({ id }, i): SagaProblem[] => (
    reach[i]!.has(i) ? [{ code: 'CYCLE', path: `steps[${i}].after`, message: `step ${JSON.stringify(id)} comes after itself` }] : []
  ));
}

function wrongKinds(steps: Steps, ancestors: readonly (readonly number[])[]): SagaProblem[] {
  const pivot = steps.findIndex(({ kind }) => kind === 'pivot');
  const name = (i: number) => JSON.stringify(steps[i]!.id);
  return steps.flatMap(({ kind }, i): SagaProblem[] => {
    const problem = (code: SagaProblemCode, message: string): SagaProblem => ({ code, path: `steps[${i}]`, message: `${kind} step ${name(i)} ${message}` });
    if (kind === 'pivot') return i === pivot ? [] : [problem('SECOND_PIVOT', `is one too many: ${name(pivot)} is the pivot`)];
    if (kind === 'retriable') {
      return pivot < 0 || ancestors[i]!.includes(pivot) ? [] : [problem('RETRIABLE_NOT_AFTER_PIVOT', `must come after the pivot ${name(pivot)}`)];
    }
    const [afterPivot, afterRetriable] = (['pivot', 'retriable'] as const).map((of) => ancestors[i]!.find((j) => steps[j]!.kind === of));
    return [
      ...(afterPivot === undefined ? [] : [problem('COMPENSATABLE_AFTER_PIVOT', `comes after the pivot ${name(afterPivot)}`)]),
      ...(afterRetriable === undefined ? [] : [problem('COMPENSATABLE_AFTER_RETRIABLE', `comes after the retriable step ${name(afterRetriable)}`)]),
    ];
  });
}

// ---------------------------------------------------------------- order

/**
 * Steps by their places in `spec.steps`. The pivot depends on every compensatable step, whether or not the definition says so: once it
 * has executed nothing may refuse any more.
 */
export interface SagaGraph {
  /** All steps that step i depends on, directly or not. */
  readonly ancestors: readonly (readonly number[])[];
  /** All steps that depend on step i, directly or not. */
  readonly descendants: readonly (readonly number[])[];
  /** -1: none. */
  readonly pivot: number;
}

const graphs = new WeakMap<SagaSpec, SagaGraph>();

/** The order of a valid definition. Remembered by the definition, which never changes. */
export function graphOf(spec: SagaSpec): SagaGraph {
  let graph = graphs.get(spec);
  if (graph === undefined) {
    graph = buildGraph(spec.steps);
    graphs.set(spec, graph);
  }
  return graph;
}

function buildGraph(steps: Steps): SagaGraph {
  const before = directBefore(steps).map((needed, i) => (steps[i]!.kind === 'pivot' ? [...needed, ...compensatables(steps)] : needed));
  const order = topologicalOrder(before);
  if (order === null) throw new Error('the steps of a saga form a cycle');
  const ancestors = closure(before, order);
  return {
    ancestors,
    descendants: steps.map((_, i) => steps.flatMap((__, j) => (ancestors[j]!.includes(i) ? [j] : []))),
    pivot: steps.findIndex(({ kind }) => kind === 'pivot'),
  };
}

function compensatables(steps: Steps): readonly number[] {
  return steps.flatMap(({ kind }, i) => (kind === 'compensatable' ? [i] : []));
}

/** `after`, or the step before when it is absent. Ids must be known. */
function directBefore(steps: Steps): readonly (readonly number[])[] {
  const places = new Map(steps.map(({ id }, i) => [id, i]));
  return steps.map(({ after }, i) => {
    if (after !== undefined) return after.length < 2 ? after.map((id) => places.get(id)!) : [...new Set(after.map((id) => places.get(id)!))];
    return i === 0 ? [] : [i - 1];
  });
}

/** Every step after those it depends on; null when there is a cycle (Kahn 1962). */
function topologicalOrder(before: readonly (readonly number[])[]): readonly number[] | null {
  const order: number[] = [];
  const placed = before.map(() => false);
  for (let found = true; found;) {
    found = false;
    for (const [i, needed] of before.entries()) {
      if (placed[i] || !needed.every((j) => placed[j])) continue;
      placed[i] = true;
      order.push(i);
      found = true;
    }
  }
  return order.length === before.length ? order : null;
}

function closure(before: readonly (readonly number[])[], order: readonly number[]): readonly (readonly number[])[] {
  const isAncestor: boolean[][] = before.map(() => before.map(() => false));
  for (const i of order) {
    const ofThis = isAncestor[i]!;
    for (const j of before[i]!) {
      ofThis[j] = true;
      isAncestor[j]!.forEach((is, k) => { ofThis[k] ||= is; });
    }
  }
  return isAncestor.map((flags) => [...flags.keys()].filter((i) => flags[i]));
}

/** As `closure`, for graphs that may have cycles. */
function reachable(before: readonly (readonly number[])[]): readonly ReadonlySet<number>[] {
  return before.map((needed) => {
    const reach = new Set<number>();
    const open = [...needed];
    for (let j = open.pop(); j !== undefined; j = open.pop()) {
      if (reach.has(j)) continue;
      reach.add(j);
      open.push(...before[j]!);
    }
    return reach;
  });
}
