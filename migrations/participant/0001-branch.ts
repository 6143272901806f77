import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The SDK's own tables in each site's database. `concordat_branch`: one row per branch (or saga step), written in one local transaction with
 * the handlers' effects. `concordat_acceptor` and `concordat_leader`: the site's other two roles in Paxos Commit.
 *
 * Partitioned by txid, which is by time, as the coordinator's tables are. One CHECK, because each costs every small batch some microseconds.
 */
export class Branch implements MigrationInterface {
  readonly name = 'Branch0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE concordat_branch (
        txid uuid NOT NULL,
        branch int NOT NULL,
        protocol text NOT NULL,
        state text NOT NULL,
        one_phase boolean NOT NULL,
        operation text NOT NULL,
        payload jsonb NOT NULL,
        peers text[] NOT NULL,
        reason jsonb,
        result jsonb,
        detail jsonb,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (txid, branch),
        CHECK (branch >= 0 AND CASE protocol
          WHEN '2pc' THEN detail IS NULL AND state IN ('prepared', 'committed', 'aborted', 'read-only')
          WHEN '3pc' THEN detail IS NOT NULL AND NOT one_phase AND state IN ('prepared', 'pre-committed', 'pre-aborted', 'committed', 'aborted')
          WHEN 'paxos-commit' THEN detail IS NOT NULL AND NOT one_phase AND state IN ('prepared', 'committed', 'aborted', 'read-only')
          WHEN 'saga' THEN detail IS NOT NULL AND NOT one_phase AND state IN ('executed', 'refused', 'compensated', 'cancelled')
          ELSE false END)
      ) PARTITION BY RANGE (txid);
      COMMENT ON COLUMN concordat_branch.detail IS 'what only this protocol keeps: 3pc {readOnly, lastElected, lastAttempt}, paxos-commit {acceptors}, saga {step, stepKind}';
      CREATE TABLE concordat_branch_default PARTITION OF concordat_branch DEFAULT;
      CREATE INDEX concordat_branch_undecided ON concordat_branch (txid, branch) WHERE state IN ('prepared', 'pre-committed', 'pre-aborted');

      CREATE TABLE concordat_acceptor (
        txid uuid PRIMARY KEY,
        peers text[] NOT NULL,
        promised_n bigint NOT NULL CHECK (promised_n >= 0),
        promised_leader bigint NOT NULL CHECK (promised_leader >= 0),
        accepted jsonb NOT NULL CHECK (jsonb_typeof(accepted) = 'array'),
        updated_at timestamptz NOT NULL DEFAULT now()
      ) PARTITION BY RANGE (txid);
      CREATE TABLE concordat_acceptor_default PARTITION OF concordat_acceptor DEFAULT;

      CREATE TABLE concordat_leader (
        txid uuid PRIMARY KEY,
        "group" jsonb NOT NULL,
        ballot_n bigint NOT NULL CHECK (ballot_n > 0),
        ballot_leader bigint NOT NULL CHECK (ballot_leader > 0),
        updated_at timestamptz NOT NULL DEFAULT now()
      ) PARTITION BY RANGE (txid);
      CREATE TABLE concordat_leader_default PARTITION OF concordat_leader DEFAULT;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE concordat_leader, concordat_acceptor, concordat_branch');
  }
}
