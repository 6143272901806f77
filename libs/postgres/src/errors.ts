import { BRANCH_RACE } from '#libs/runtime';

/** SQLSTATE codes and classes of faults that go away by themselves (PostgreSQL manual, appendix A). */
const TRANSIENT_SQLSTATE = new RegExp([
  '^08', // connection
  '^40', // rolled back: serialization, deadlock
  '^53', // out of connections, memory, disk
  '^57', // cancelled, shutting down, starting up
  '^58', // system error outside of Postgres
  '^55P03$', // lock not available
  '^25006$', // read-only: a standby that is about to be promoted
  '^25P0[34]$', // idle-in-transaction and transaction timeout
].join('|'));

const TRANSIENT_SYSTEM_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT',
]);

/** What `pg` and `pg-pool` say without a code. */
const TRANSIENT_MESSAGES = /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout exceeded when trying to connect|timeout expired)/;

/** Where Postgres raises that a prepared statement would answer other columns than when it was prepared; it is not run by its name again. */
export const OUTDATED_STATEMENT = 'RevalidateCachedQuery';

/** Another process wrote a row of this site between `load` and `save`, or before, and it was expected to be another: the batch has to see it first. */
export class BranchRaceError extends Error {
  readonly code = BRANCH_RACE;

  constructor() {
    super('a row of this site was written by another process meanwhile');
    this.name = 'BranchRaceError';
  }
}

/** A list cursor that this service did not make. */
export class InvalidCursorError extends Error {
  readonly code = 'INVALID_CURSOR';

  constructor() {
    super('not a cursor of this list: pass nextCursor of the previous page, or leave it out to begin with the first');
    this.name = 'InvalidCursorError';
  }
}

/** True for faults that go away by themselves (connection, deadlock, serialization, shutdown, resources): try again. */
export function isTransientDatabaseError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if (error instanceof BranchRaceError) return true;
  // `errors`: one per address that was tried; `driverError`: what TypeORM has wrapped.
  const { code, message, errors, driverError, routine } = error as { readonly [name: string]: unknown };
  if (routine === OUTDATED_STATEMENT) return true;
  if (typeof code === 'string' && (TRANSIENT_SYSTEM_CODES.has(code) || isTransientSqlState(code))) return true;
  if (typeof message === 'string' && TRANSIENT_MESSAGES.test(message)) return true;
  if (Array.isArray(errors) && errors.some(isTransientDatabaseError)) return true;
  return driverError !== error && isTransientDatabaseError(driverError);
}

function isTransientSqlState(code: string): boolean {
  return code.length === 5 && TRANSIENT_SQLSTATE.test(code);
}
