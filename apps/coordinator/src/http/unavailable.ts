import type { UnavailableError } from '#libs/runtime';
import { ProblemException } from '#libs/service';

/** 429 when the caller should slow down, 503 when something is out of reach. */
export function unavailableProblem(error: UnavailableError): ProblemException {
  return new ProblemException(error.code === 'OVERLOADED' ? 429 : 503, error.code, error.message, [], error.retryAfterMs);
}
