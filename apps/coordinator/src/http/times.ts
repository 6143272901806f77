import { validationProblem } from '#libs/service';

/** Milliseconds since the epoch of an ISO 8601 time whose form has been checked; 2026-02-31 has the form and is none. */
export function timeOf(text: string | undefined, path: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw validationProblem([{ path, message: 'is not a time that exists' }]);
  return ms;
}
