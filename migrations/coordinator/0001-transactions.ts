import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the coordinator remembers. The three wide tables are inserted into and never updated, so that a flush appends and
 * vacuum has nothing to do there. `tx_open` is narrow, and the only thing that recovery has to scan.
 *
 * Txids begin with their time, so every primary key is also the index by time, newest at the right edge. Aborts and reasons
 * are rare beside commits: their indexes are partial and cost a commit nothing.
 *
 * Rows stay in the page up to 8 kB (`toast_tuple_target`): moving a timeline out of line would cost more than the rest of
 * the insert. Timelines are `json`, not `jsonb`: nobody looks into them with SQL.
 */
export class Transactions implements MigrationInterface {
  readonly name = 'Transactions0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE shard (
        shard int PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
        epoch int NOT NULL CHECK (epoch > 0),
        owner text NOT NULL,
        acquired_at timestamptz NOT NULL
      );

      CREATE TABLE idempotency_key (
        key text PRIMARY KEY CHECK (char_length(key) BETWEEN 1 AND 255),
        txid uuid NOT NULL,
        request_hash text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE tx_begin (
        txid uuid PRIMARY KEY,
        shard int NOT NULL CHECK (shard BETWEEN 0 AND 4095),
        protocol text NOT NULL CHECK (protocol IN ('2pc', '3pc', 'paxos-commit', 'saga')),
        created_at timestamptz NOT NULL,
        deadline_at timestamptz NOT NULL,
        wait_for text NOT NULL CHECK (wait_for IN ('decided', 'finished')),
        branches jsonb NOT NULL CHECK (jsonb_typeof(branches) = 'array'),
        participants text[] NOT NULL,
        metadata jsonb,
        idempotency_key text
      ) WITH (toast_tuple_target = 8160);
      CREATE INDEX tx_begin_participant ON tx_begin USING gin (participants);
      CREATE INDEX tx_begin_rare_protocol ON tx_begin (protocol, txid) WHERE protocol <> '2pc';

      CREATE TABLE tx_open (
        shard int NOT NULL,
        txid uuid NOT NULL,
        PRIMARY KEY (shard, txid)
      ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

      CREATE TABLE tx_decision (
        txid uuid PRIMARY KEY,
        decision text NOT NULL CHECK (decision IN ('COMMIT', 'ABORT')),
        reason jsonb,
        branches jsonb NOT NULL CHECK (jsonb_typeof(branches) = 'array'),
        timeline json NOT NULL,
        epoch int,
        decided_at timestamptz NOT NULL,
        CHECK (decision = 'ABORT' OR reason IS NULL)
      ) WITH (toast_tuple_target = 8160);
      COMMENT ON COLUMN tx_decision.epoch IS 'of the shard when it was decided; null: abort was presumed';
      CREATE INDEX tx_decision_abort ON tx_decision (txid) WHERE decision = 'ABORT';
      CREATE INDEX tx_decision_reason ON tx_decision ((reason ->> 'code'), txid) WHERE decision = 'ABORT';
      CREATE INDEX tx_decision_time ON tx_decision USING brin (decided_at) WITH (autosummarize = on, pages_per_range = 32);

      CREATE TABLE tx_end (
        txid uuid PRIMARY KEY,
        outcome text NOT NULL CHECK (outcome IN ('committed', 'aborted')),
        reason jsonb,
        branches jsonb NOT NULL CHECK (jsonb_typeof(branches) = 'array'),
        timeline json NOT NULL,
        registered boolean NOT NULL,
        finished_at timestamptz NOT NULL,
        CHECK (outcome = 'aborted' OR reason IS NULL)
      ) WITH (toast_tuple_target = 8160);
      COMMENT ON COLUMN tx_end.registered IS 'false: ended without a decision (read-only, one-phase), so the outcome stands here alone';
      CREATE INDEX tx_end_unregistered_abort ON tx_end (txid) WHERE outcome = 'aborted' AND NOT registered;
      CREATE INDEX tx_end_unregistered_reason ON tx_end ((reason ->> 'code'), txid) WHERE outcome = 'aborted' AND NOT registered;
      CREATE INDEX tx_end_time ON tx_end USING brin (finished_at) WITH (autosummarize = on, pages_per_range = 32);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE tx_end, tx_decision, tx_open, tx_begin, idempotency_key, shard');
  }
}
