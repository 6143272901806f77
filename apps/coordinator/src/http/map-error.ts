import { isTransientDatabaseError } from '#libs/postgres';
import { ProblemException, validationProblem } from '#libs/service';

/** Faults that pass are 503 wherever they surface; what a submitter may conclude from that is the submission's business. */
export function mapError(error: unknown): ProblemException | null {
  if (isTransientDatabaseError(error)) return new ProblemException(503, 'STORE_UNAVAILABLE', 'The database is out of reach now; ask again in a moment.', [], 1_000, { cause: error });
  if ((error as { code?: unknown } | null)?.code === 'INVALID_CURSOR') return validationProblem([{ path: 'cursor', message: 'must be a nextCursor of an earlier answer' }]);
  return null;
}
