import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkSaga, MAX_SAGA_STEPS, type SagaStepKind } from '../src/index.js';

interface Step { readonly id: string; readonly kind: SagaStepKind; readonly after?: readonly string[] }

const KINDS = { c: 'compensatable', p: 'pivot', r: 'retriable' } as const;

/** `a:c b:p<a c:r<a+b`: id, kind, and what it comes after; without `<` the step before, with nothing behind it no step. */
function saga(text: string): readonly Step[] {
  return text.split(' ').map((word) => {
    const [, id, kind, after] = /^(\w+):([cpr])(?:<(.*))?$/.exec(word)!;
    return { id: id!, kind: KINDS[kind as keyof typeof KINDS], ...(after !== undefined && { after: after === '' ? [] : after.split('+') }) };
  });
}

const problemsOf = (text: string) => checkSaga({ steps: saga(text) }).map(({ code, path }) => `${code} ${path}`);

describe('a definition is accepted', () => {
  test.each([
    ['a:c', 'one compensatable step'], ['a:p', 'only a pivot'], ['a:r b:r', 'only retriable steps'],
    ['a:c b:c c:p d:r e:r', 'the three kinds in the order of the list'],
    ['a:c b:c', 'no pivot'], ['a:c b:r', 'no pivot, and a retriable step behind'],
    ['a:c b:c< c:p<a+b d:r<c e:r<c', 'branches that join at the pivot'],
    ['d:r<c c:p<a a:c<', 'listed against the order of the graph'],
    ['a:c b:p<', 'a pivot that says nothing of the compensatable steps: it waits for them all the same'],
    ['a:c b:p c:c<a', 'a compensatable step beside the pivot'],
    ['a:p b:r c:r<b', 'a retriable step that comes after the pivot by way of another one'],
  ])('%s: %s', (text) => {
    expect(problemsOf(text)).toEqual([]);
  });
});

describe('a definition is refused, with a code and where it is wrong', () => {
  test.each([
    ['a:c a:c', ['DUPLICATE_ID steps[1].id']],
    ['a:c b:p<a+x c:r<y', ['UNKNOWN_STEP steps[1].after[1]', 'UNKNOWN_STEP steps[2].after[0]']],
    ['a:c<a', ['CYCLE steps[0].after']],
    ['a:c<c b:c c:c d:c', ['CYCLE steps[0].after', 'CYCLE steps[1].after', 'CYCLE steps[2].after']],
    ['a:p b:p', ['SECOND_PIVOT steps[1]']],
    ['a:p b:c', ['COMPENSATABLE_AFTER_PIVOT steps[1]']],
    ['a:r b:c', ['COMPENSATABLE_AFTER_RETRIABLE steps[1]']],
    ['a:p b:r c:c', ['COMPENSATABLE_AFTER_PIVOT steps[2]', 'COMPENSATABLE_AFTER_RETRIABLE steps[2]']],
    ['a:r b:p', ['RETRIABLE_NOT_AFTER_PIVOT steps[0]']],
    ['a:c b:p c:r<a', ['RETRIABLE_NOT_AFTER_PIVOT steps[2]']],
    ['c:c<b a:p b:p<', ['SECOND_PIVOT steps[2]', 'COMPENSATABLE_AFTER_PIVOT steps[0]']],
  ])('%s', (text, problems) => {
    expect(problemsOf(text).sort()).toEqual([...problems].sort());
  });

  test('no steps, and more than can be', () => {
    const step = (i: number): Step => ({ id: `s${i}`, kind: 'compensatable' });
    expect(checkSaga({ steps: [] })).toEqual([{ code: 'EMPTY', path: 'steps', message: 'a saga needs at least one step' }]);
    const many = Array.from({ length: MAX_SAGA_STEPS + 1 }, (_, i) => step(i));
    expect(checkSaga({ steps: many }).map(({ code }) => code)).toEqual(['TOO_MANY_STEPS']);
    expect(checkSaga({ steps: many.slice(1) })).toEqual([]);
  });

  test('messages name the steps', () => {
    expect(checkSaga({ steps: saga('pay:p ship:c') })[0]!.message).toBe('compensatable step "ship" comes after the pivot "pay"');
  });
});

// ---------------------------------------------------------------- against a straightforward definition

interface Edge { readonly to: number; readonly anywhere: boolean }

/** Mostly to an earlier step; `anywhere` can also be a later step, the step itself, or one that is not there. */
const edge = fc.record({ to: fc.nat(6), anywhere: fc.integer({ min: 0, max: 9 }).map((n) => n === 0) });
const plan = fc.record({
  kind: fc.constantFrom<SagaStepKind>('compensatable', 'compensatable', 'pivot', 'retriable', 'retriable'),
  edges: fc.option(fc.array(edge, { maxLength: 2 }), { nil: undefined }),
});
const sagas = fc.array(plan, { minLength: 1, maxLength: 6 }).map((plans) => plans.map(({ kind, edges }, i): Step => {
  const after = edges?.filter(({ anywhere }) => anywhere || i > 0).map(({ to, anywhere }: Edge) => `s${anywhere ? to : to % i}`);
  return { id: `s${i}`, kind, ...(after && { after }) };
}));

/** All ways forward through the graph, followed one by one. */
function comesAfter(steps: readonly Step[], i: number, j: number, seen: readonly number[] = []): boolean {
  const before = steps[i]!.after?.map((id) => steps.findIndex((step) => step.id === id)) ?? (i === 0 ? [] : [i - 1]);
  return before.some((k) => k === j || (!seen.includes(k) && comesAfter(steps, k, j, [...seen, k])));
}

function isValid(steps: readonly Step[]): boolean {
  if (steps.some(({ after }) => after?.some((id) => !steps.some((step) => step.id === id)))) return false;
  const places = [...steps.keys()];
  if (places.some((i) => comesAfter(steps, i, i))) return false;
  const pivots = places.filter((i) => steps[i]!.kind === 'pivot');
  if (pivots.length > 1) return false;
  return places.every((i) => {
    if (steps[i]!.kind === 'compensatable') return places.every((j) => steps[j]!.kind === 'compensatable' || !comesAfter(steps, i, j));
    return steps[i]!.kind === 'pivot' || pivots.every((pivot) => comesAfter(steps, i, pivot));
  });
}

test('any graph is accepted exactly when it meets the definition', () => {
  const seen = { true: 0, false: 0 };
  fc.assert(fc.property(sagas, (steps) => {
    const valid = isValid(steps);
    seen[`${valid}`] += 1;
    expect(checkSaga({ steps }).length === 0).toBe(valid);
  }), { numRuns: 5000, seed: 1 });
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(500);
});
