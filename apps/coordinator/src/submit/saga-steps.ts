import { checkSaga, type SagaProblemCode, type SagaStepSpec } from '#libs/protocol';
import { ProblemException } from '#libs/service';
import type { SagaDefaults } from '../config.js';
import type { SagaBody, StepBody } from './transaction-body.js';

/**
 * The steps of a saga with all defaults filled in.
 * @throws ProblemException 422 INVALID_SAGA with everything that `checkSaga` finds
 */
export function sagaSteps({ steps }: SagaBody, defaults: SagaDefaults): readonly SagaStepSpec[] {
  const filled = steps.map((step) => filledIn(step, defaults));
  const problems = checkSaga({ steps: filled });
  if (problems.length === 0) return filled;
  const errors = problems.map(({ code, path, message }) => ({ path, message: `${message}; ${ADVICE[code]}`, code }));
  const first = errors[0]!;
  throw new ProblemException(422, 'INVALID_SAGA', `${first.path}: ${first.message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}.`, errors);
}

const ADVICE: Readonly<Record<SagaProblemCode, string>> = {
  EMPTY: 'name what it is to do',
  TOO_MANY_STEPS: 'give one step more to do, or run several sagas',
  DUPLICATE_ID: 'give each step an id of its own',
  UNKNOWN_STEP: 'name the id of a step of this saga',
  CYCLE: 'take a step out of the circle\'s "after"',
  SECOND_PIVOT: 'make it retriable if it cannot fail for good, or compensatable if it can be undone',
  COMPENSATABLE_AFTER_PIVOT: 'put it before the pivot, or make it retriable',
  COMPENSATABLE_AFTER_RETRIABLE: 'put it before the retriable step: those run when nothing can be undone any more',
  RETRIABLE_NOT_AFTER_PIVOT: 'put it behind the pivot, or name the pivot in its "after"',
};

function filledIn({ id, participant, operation, payload, kind, after, timeoutMs, retry }: StepBody, defaults: SagaDefaults): SagaStepSpec {
  const firstMs = retry?.firstMs ?? Math.min(defaults.retry.firstMs, retry?.maxMs ?? Infinity);
  return {
    id, participant, operation, payload, kind: kind ?? 'compensatable',
    ...(after === undefined ? {} : { after }),
    timeoutMs: timeoutMs ?? defaults.stepTimeoutMs,
    retry: { maxAttempts: retry?.maxAttempts ?? defaults.retry.maxAttempts, firstMs, maxMs: retry?.maxMs ?? Math.max(defaults.retry.maxMs, firstMs) },
  };
}
