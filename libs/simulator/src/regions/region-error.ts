/** A placement that cannot be; the message says what is allowed. */
export class RegionError extends Error {
  readonly code = 'INVALID_OPTION';
}
