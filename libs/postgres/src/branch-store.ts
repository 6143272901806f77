import type { AnyBranchRow, BranchKey, BranchStore, BranchTransaction } from '#libs/runtime';
import type { DataSource, EntityManager } from 'typeorm';
import { branchRow, type StoredBranch } from './branch-row.js';
import { type Connection, TypeOrmBranchTransaction } from './branch-transaction.js';
import { isTransientDatabaseError } from './errors.js';
import { UNDECIDED } from './sql/branches.js';

/**
 * A site's rows beside the service's own tables, through its own TypeORM connection. The connections pipeline: what needs no answer travels
 * with what follows it, which halves the round trips.
 */
export class TypeOrmBranchStore implements BranchStore<EntityManager> {
  constructor(private readonly dataSource: DataSource) {
    const { extra } = dataSource.options as { readonly extra?: { readonly pipeline?: boolean } };
    if (extra?.pipeline !== true) throw new TypeError('the data source must be made with extra: { pipeline: true }');
  }

  async transact<T>(work: (tx: BranchTransaction<EntityManager>) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      return await new TypeOrmBranchTransaction(runner, (await runner.connect()) as Connection).run(work);
    } finally {
      await runner.release();
    }
  }

  async loadUndecided(after: BranchKey | null, limit: number): Promise<readonly AnyBranchRow[]> {
    const rows: StoredBranch[] = await this.dataSource.query(`
      SELECT txid, branch, protocol, state, one_phase, operation, NULL AS payload, peers, reason, result, detail, updated_at FROM concordat_branch
       WHERE ${UNDECIDED} AND txid >= coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
         AND (txid, branch) > (coalesce($1::uuid, '00000000-0000-0000-0000-000000000000'), coalesce($2::int, -1))
       ORDER BY txid, branch LIMIT $3`, [after?.txid ?? null, after?.branch ?? null, limit]);
    return rows.map(branchRow);
  }

  isTransient(error: unknown): boolean {
    return isTransientDatabaseError(error);
  }
}
