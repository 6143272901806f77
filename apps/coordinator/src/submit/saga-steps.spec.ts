import { describe, expect, it } from '@jest/globals';
import type { ProblemException } from '#libs/service';
import { LIMITS } from '../testing/limits.js';
import { sagaSteps } from './saga-steps.js';
import type { StepBody } from './transaction-body.js';

const step = (id: string, over: Partial<StepBody> = {}): StepBody => ({ id, participant: 'payments', operation: 'debit', payload: null, ...over });
const fill = (...steps: StepBody[]): ReturnType<typeof sagaSteps> => sagaSteps({ protocol: 'saga', steps }, LIMITS.saga);

function refused(...steps: StepBody[]): ProblemException {
  try {
    fill(...steps);
  } catch (error) {
    return error as ProblemException;
  }
  throw new Error('was not refused');
}

describe('the steps of a saga', () => {
  it('have every default filled in', () => {
    expect(fill(step('a'))).toEqual([{ ...step('a'), kind: 'compensatable', timeoutMs: LIMITS.saga.stepTimeoutMs, retry: LIMITS.saga.retry }]);
  });

  it('keep what they say', () => {
    const said = step('a', { kind: 'pivot', after: [], timeoutMs: 5, retry: { maxAttempts: 1, firstMs: 2, maxMs: 3 } });
    expect(fill(said)).toEqual([said]);
  });

  it('never wait longer at first than at most, whichever of the two they say', () => {
    const { firstMs, maxMs } = LIMITS.saga.retry;
    expect(fill(step('a', { retry: { firstMs: maxMs + 1 } }), step('b', { retry: { maxMs: firstMs - 1 } })).map(({ retry }) => [retry.firstMs, retry.maxMs])).toEqual([[maxMs + 1, maxMs + 1], [firstMs - 1, firstMs - 1]]);
  });

  it.each<[string, string, StepBody[]]>([
    ['EMPTY', 'steps', []],
    ['TOO_MANY_STEPS', 'steps', Array.from({ length: 101 }, (_, i) => step(`s${i}`))],
    ['DUPLICATE_ID', 'steps[1].id', [step('a'), step('a')]],
    ['UNKNOWN_STEP', 'steps[1].after[0]', [step('a'), step('b', { after: ['c'] })]],
    ['CYCLE', 'steps[0].after', [step('a', { after: ['a'] })]],
    ['SECOND_PIVOT', 'steps[1]', [step('a', { kind: 'pivot' }), step('b', { kind: 'pivot' })]],
    ['COMPENSATABLE_AFTER_PIVOT', 'steps[1]', [step('a', { kind: 'pivot' }), step('b')]],
    ['COMPENSATABLE_AFTER_RETRIABLE', 'steps[1]', [step('a', { kind: 'retriable' }), step('b')]],
    ['RETRIABLE_NOT_AFTER_PIVOT', 'steps[0]', [step('a', { kind: 'retriable' }), step('b', { kind: 'pivot', after: [] })]],
  ])('that break the rule %s are refused by the field\'s path, with what to do', (code, path, steps) => {
    const { problem } = refused(...steps);
    expect(problem).toMatchObject({ status: 422, code: 'INVALID_SAGA', errors: [{ code, path, message: expect.stringMatching(/; \w/) }] });
  });
});
