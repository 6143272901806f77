import type { BranchRow, BranchState, Json, Peers, Reason, Txid } from '#libs/protocol';
import type { BranchKey, BranchStore, BranchTransaction } from '#libs/runtime';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { isTransientDatabaseError } from './errors.js';
import { insertBranches, updateBranches } from './sql/save-branches.js';

/** A participant's branch rows beside its own tables, through the service's own TypeORM connection. */
export class TypeOrmBranchStore implements BranchStore<EntityManager> {
  constructor(private readonly dataSource: DataSource) {}

  async transact<T>(work: (tx: BranchTransaction<EntityManager>) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.startTransaction();
      try {
        const result = await work(new TypeOrmBranchTransaction(runner.manager));
        await commit(runner);
        return result;
      } catch (error) {
        // What went wrong first is what counts; a connection that cannot even roll back is thrown away by the pool.
        await runner.rollbackTransaction().catch(() => undefined);
        throw error;
      }
    } finally {
      await runner.release();
    }
  }

  async loadPrepared(after: BranchKey | null, limit: number): Promise<readonly BranchRow[]> {
    const rows: StoredRow[] = await this.dataSource.query(`
      SELECT txid, branch, state, one_phase, operation, NULL AS payload, peers, reason, result, updated_at FROM concordat_branch
       WHERE state = 'prepared' AND (txid, branch) > (coalesce($1::uuid, '00000000-0000-0000-0000-000000000000'), coalesce($2::int, -1))
       ORDER BY txid, branch LIMIT $3`, [after?.txid ?? null, after?.branch ?? null, limit]);
    return rows.map(branchRow);
  }

  isTransient(error: unknown): boolean {
    return isTransientDatabaseError(error);
  }
}

class TypeOrmBranchTransaction implements BranchTransaction<EntityManager> {
  /** Rows that are in the database, as this transaction last saw them. */
  private readonly known = new Map<string, BranchRow>();

  constructor(readonly handle: EntityManager) {}

  async load(keys: readonly BranchKey[]): Promise<readonly BranchRow[]> {
    if (keys.length === 0) return [];
    // In key order, so that batches with the same branches wait for each other instead of deadlocking.
    const rows: StoredRow[] = await this.handle.query(`
      SELECT txid, branch, state, one_phase, operation, payload, peers, reason, result, updated_at FROM concordat_branch
       WHERE (txid, branch) IN (SELECT * FROM unnest($1::uuid[], $2::int[])) ORDER BY txid, branch FOR UPDATE`,
    [keys.map((key) => key.txid), keys.map((key) => key.branch)]);
    const loaded = rows.map(branchRow);
    for (const row of loaded) this.known.set(keyOf(row), row);
    return loaded;
  }

  async save(rows: readonly BranchRow[]): Promise<void> {
    const latest = [...new Map(rows.map((row) => [keyOf(row), row])).values()];
    const added = latest.filter((row) => !this.known.has(keyOf(row)));
    const changed = latest.filter((row) => this.known.has(keyOf(row))).map((row) => ({ row, before: this.known.get(keyOf(row))! }));
    if (added.length > 0) await insertBranches(this.handle, added);
    if (changed.length > 0) await updateBranches(this.handle, changed);
    for (const row of latest) this.known.set(keyOf(row), row);
  }

  /** TypeORM makes a transaction within a transaction a savepoint. */
  savepoint<T>(work: () => Promise<T>): Promise<T> {
    return this.handle.transaction(() => work());
  }
}

/**
 * As `runner.commitTransaction()`, but reads the answer: a handler that swallowed an error of the database leaves a transaction that
 * Postgres rolls back at COMMIT without raising an error, and votes would leave for rows that do not exist.
 */
async function commit(runner: QueryRunner): Promise<void> {
  const connection = await runner.connect() as { query(sql: string): Promise<{ readonly command: string }> };
  await runner.broadcaster.broadcast('BeforeTransactionCommit');
  const { command } = await connection.query('COMMIT');
  if (command !== 'COMMIT') throw new Error('a handler caught an error of the database and went on: let it throw, or run the statement under a savepoint');
  await runner.broadcaster.broadcast('AfterTransactionCommit');
}

interface StoredRow {
  readonly txid: Txid;
  readonly branch: number;
  readonly state: BranchState;
  readonly one_phase: boolean;
  readonly operation: string;
  readonly payload: Json;
  readonly peers: Peers;
  readonly reason: Reason | null;
  readonly result: Json | null;
  readonly updated_at: Date;
}

function branchRow({ one_phase, updated_at, ...row }: StoredRow): BranchRow {
  return { ...row, onePhase: one_phase, updatedAtMs: updated_at.getTime() };
}

function keyOf(key: BranchKey): string {
  return `${key.txid}/${key.branch}`;
}
