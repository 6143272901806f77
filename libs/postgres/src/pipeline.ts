import type { PoolClient } from 'pg';
import type { Pool } from './pool.js';

/**
 * One statement of a pipeline and how to read its answer. Named: parsed and planned once per connection. Values are strings, numbers,
 * null and arrays of them: their encoding cannot fail, so no statement of a pipeline can go missing.
 */
export interface Operation<Result> {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  read(rows: any[]): Result;
}

type Results<Operations extends readonly (Operation<unknown> | null)[]> = {
  [K in keyof Operations]: Operations[K] extends Operation<infer R> ? R : Operations[K] extends Operation<infer R> | null ? R | null : never;
};

/** READ COMMITTED: each statement sees what the ones it waited for have written. */
export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED';

/**
 * Until the end of the transaction. Named statements keep the plan of their first executions, when tables may still be empty: a plan
 * made then would scan whole tables ever after. And one plan for all values: left to itself, Postgres plans anew each time it looks for rows
 * of a partitioned table, because a plan for some values leaves the other partitions out and so seems cheaper. That costs more than to run it.
 */
export const INDEXES_ONLY = 'SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = force_generic_plan';

/** As INDEXES_ONLY, but for as long as the connection lives, which it should be for such statements alone. */
const INDEXES_ONLY_SESSION = INDEXES_ONLY.replaceAll('SET LOCAL', 'SET');
const PREPARED = new WeakSet<PoolClient>();

/** One statement, which is a database transaction of its own, in ONE round trip. */
export async function runAlone<Result>(pool: Pool, { name, text, values, read }: Operation<Result>): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    const prepared = PREPARED.has(client) ? null : client.query(INDEXES_ONLY_SESSION);
    const answer = client.query({ name, text, values: [...values] });
    await Promise.allSettled([prepared, answer]);
    await prepared;
    PREPARED.add(client);
    return read((await answer).rows);
  } catch (error) {
    if (!isRefusal(error)) broken = error as Error;
    throw error;
  } finally {
    client.release(broken);
  }
}

/** A statement that Postgres refused leaves a clean connection (it has a SQLSTATE of 5 characters); anything else may not. */
function isRefusal(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test((error as { code?: string }).code ?? '');
}

/**
 * Runs the operations in order in ONE database transaction and ONE round trip: all leave together with BEGIN and COMMIT, so no
 * statement can depend on an answer. After an error Postgres skips the rest and takes the COMMIT for a ROLLBACK. `null` operations
 * are left out and answer null.
 */
export async function runTogether<const Operations extends readonly (Operation<unknown> | null)[]>(pool: Pool, operations: Operations): Promise<Results<Operations>> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    const sent = operations.filter((operation) => operation !== null);
    // One write to the socket for all of them.
    const { stream } = (client as unknown as { readonly connection: { readonly stream: { cork(): void; uncork(): void } } }).connection;
    stream.cork();
    const begun = client.query(`${BEGIN}; ${INDEXES_ONLY}`);
    const answers = sent.map(({ name, text, values }) => client.query({ name, text, values: [...values] }));
    const ended = client.query('COMMIT');
    stream.uncork();
    // All must have come back before anybody else gets the connection; the first failure is the cause of the others.
    const settled = await Promise.allSettled([begun, ...answers, ended]);
    const failure = settled.find((s) => s.status === 'rejected');
    if (failure !== undefined) throw failure.reason as Error;
    if ((await ended).command !== 'COMMIT') throw new Error('the database transaction was rolled back');
    const results = new Map((await Promise.all(answers)).map(({ rows }, i) => [sent[i]!, rows]));
    return operations.map((operation) => (operation === null ? null : operation.read(results.get(operation)!))) as Results<Operations>;
  } catch (error) {
    if (!isRefusal(error)) broken = error as Error;
    throw error;
  } finally {
    client.release(broken);
  }
}
