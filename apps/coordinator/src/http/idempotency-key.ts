import { validationProblem } from '#libs/service';

const PATTERN = /^[\x20-\x7e]{1,255}$/;

export const KEY_SCHEMA = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]{1,255}$' } as const;

/**
 * The caller's key, null if there is none.
 * @param path how errors name it
 * @throws ProblemException 400
 */
export function idempotencyKeyOf(value: unknown, path: string): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string' || !PATTERN.test(value)) throw validationProblem([{ path, message: 'must have 1 to 255 printable ASCII characters' }]);
  return value;
}
