/**
 * What a batch begins with that changes rows of a table in several statements, each in an order of its own. Two such batches at the same time would
 * wait for each other (a deadlock). So the first one takes the table's gate alone, which is one lock however many rows there are. Whoever finds
 * it taken waits until that one is through, shares the gate with the others who wait, and locks its rows in key order before it changes any. No batch
 * that holds a row waits for the gate, because the gate comes first.
 *
 * One subquery with CASE: it is evaluated once, before any row is looked for, and the second lock only if the first is not to be had.
 * The other subquery hides the keys from the planner, which would plan anew for each batch what is hardly ever run.
 * @param gate any number that nobody else uses as an advisory lock of this database
 */
export function lockInOrder(table: string, key: string, gate: number): string {
  return `
  SELECT FROM ${table}
   WHERE (SELECT CASE WHEN pg_try_advisory_xact_lock(${gate}) THEN false ELSE pg_advisory_xact_lock_shared(${gate}) IS NOT NULL END)
     AND ${key} = ANY((SELECT $1::text[])::text[]) ORDER BY ${key} FOR UPDATE`;
}
