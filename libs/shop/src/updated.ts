/** TypeORM answers an UPDATE with [rows, count]. */
export type UpdateResult = readonly [rows: readonly unknown[], count: number];

/**
 * A commit or abort finishes what its prepare wrote in the same database, so all rows must be there. If they are not, somebody
 * else has changed them: the branch is then parked, visible to operators, instead of losing money silently.
 */
export function expectUpdated([, count]: UpdateResult, wanted: number, what: string): void {
  if (count !== wanted) throw new Error(`${what}: ${count} of ${wanted} rows were as prepare had left them`);
}
