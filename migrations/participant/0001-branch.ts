import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The SDK's own table in each service's database: one row per branch, written in one local transaction with the handlers' effects. */
export class Branch implements MigrationInterface {
  readonly name = 'Branch0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE concordat_branch (
        txid uuid NOT NULL,
        branch int NOT NULL CHECK (branch >= 0),
        state text NOT NULL CHECK (state IN ('prepared', 'committed', 'aborted', 'read-only')),
        one_phase boolean NOT NULL,
        operation text NOT NULL,
        payload jsonb NOT NULL,
        peers text[] NOT NULL,
        reason jsonb,
        result jsonb,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (txid, branch)
      );
      CREATE INDEX concordat_branch_prepared ON concordat_branch (txid, branch) WHERE state = 'prepared';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE concordat_branch');
  }
}
