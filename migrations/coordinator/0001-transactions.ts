import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Rows stay in the page up to 8 kB: moving a timeline out of line would cost more than the rest of the insert. */
const IN_PAGE = 'WITH (toast_tuple_target = 8160)';

/**
 * What the coordinator remembers. The three wide tables are inserted into and never updated, so that a flush appends and vacuum has
 * nothing to do there. `tx_open` is narrow, and the only thing that recovery has to scan; `tx_progress` holds what only unfinished
 * transactions need.
 *
 * Txids begin with their time, so every primary key is also the index by time, newest at the right edge, and a range of txids is a
 * range of time: the wide tables are partitioned by it, and what is old goes away with its partition. The housekeeper makes and drops the
 * partitions; what falls into none (before its first run, or a txid of a clock that is wrong) goes to the default one.
 *
 * Aborts, reasons and sagas are rare beside commits: their indexes are partial and cost a commit nothing. Branches are `json` and
 * timelines `text`, because nobody looks into them with SQL.
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

      CREATE TABLE tx_horizon (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        txid uuid NOT NULL
      );
      COMMENT ON TABLE tx_horizon IS 'of transactions before this one a missing row proves nothing: it may have been cleaned up';
      INSERT INTO tx_horizon (txid) VALUES ('00000000-0000-0000-0000-000000000000');

      CREATE TABLE idempotency_key (
        key text COLLATE "C" PRIMARY KEY CHECK (char_length(key) BETWEEN 1 AND 255),
        txid uuid NOT NULL,
        request_hash text NOT NULL
      );

      CREATE TABLE tx_begin (
        txid uuid PRIMARY KEY,
        shard int NOT NULL,
        protocol text NOT NULL,
        created_at timestamptz NOT NULL,
        deadline_at timestamptz NOT NULL,
        wait_for text NOT NULL,
        branches json NOT NULL,
        participants text[] NOT NULL,
        acceptors text[],
        saga json,
        metadata json,
        idempotency_key text,
        CHECK (shard BETWEEN 0 AND 4095 AND wait_for IN ('decided', 'finished')
          AND protocol IN ('2pc', '3pc', 'paxos-commit', 'saga') AND (protocol = 'paxos-commit') = (acceptors IS NOT NULL) AND (protocol = 'saga') = (saga IS NOT NULL))
      ) PARTITION BY RANGE (txid);
      COMMENT ON COLUMN tx_begin.branches IS 'of a saga: its steps';
      CREATE TABLE tx_begin_default PARTITION OF tx_begin DEFAULT ${IN_PAGE};
      CREATE INDEX tx_begin_participant ON tx_begin USING gin (participants);
      CREATE INDEX tx_begin_rare_protocol ON tx_begin (protocol, txid) WHERE protocol <> '2pc';

      CREATE TABLE tx_open (
        shard int NOT NULL,
        txid uuid NOT NULL,
        PRIMARY KEY (shard, txid)
      ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

      CREATE TABLE tx_progress (
        txid uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('STATE', 'LEAD', 'SENT', 'SKIP', 'ATTENTION')),
        key text NOT NULL CHECK ((key <> '') = (kind IN ('SENT', 'SKIP'))),
        data jsonb NOT NULL,
        PRIMARY KEY (txid, kind, key)
      ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

      CREATE TABLE tx_decision (
        txid uuid PRIMARY KEY,
        decision text NOT NULL CHECK (decision IN ('COMMIT', 'ABORT')),
        reason jsonb,
        branches json NOT NULL,
        timeline text NOT NULL,
        epoch int,
        decided_at timestamptz NOT NULL,
        CHECK (decision = 'ABORT' OR reason IS NULL)
      ) PARTITION BY RANGE (txid);
      COMMENT ON COLUMN tx_decision.epoch IS 'of the shard when it was decided; null: abort was presumed';
      CREATE TABLE tx_decision_default PARTITION OF tx_decision DEFAULT ${IN_PAGE};
      CREATE INDEX tx_decision_abort ON tx_decision (txid) WHERE decision = 'ABORT';
      CREATE INDEX tx_decision_reason ON tx_decision ((reason ->> 'code'), txid) WHERE decision = 'ABORT';
      CREATE INDEX tx_decision_time ON tx_decision USING brin (decided_at) WITH (autosummarize = on, pages_per_range = 32);

      CREATE TABLE tx_end (
        txid uuid PRIMARY KEY,
        outcome text NOT NULL CHECK (outcome IN ('committed', 'aborted', 'completed', 'compensated')),
        reason jsonb,
        resolved jsonb,
        branches json NOT NULL,
        timeline text NOT NULL,
        registered boolean NOT NULL,
        finished_at timestamptz NOT NULL,
        CHECK (outcome IN ('aborted', 'compensated') OR reason IS NULL)
      ) PARTITION BY RANGE (txid);
      COMMENT ON COLUMN tx_end.registered IS 'false: paxos-commit of which no note was written, so the outcome stands here alone';
      CREATE TABLE tx_end_default PARTITION OF tx_end DEFAULT ${IN_PAGE};
      CREATE INDEX tx_end_unregistered_abort ON tx_end (txid) WHERE outcome = 'aborted' AND NOT registered;
      CREATE INDEX tx_end_unregistered_reason ON tx_end ((reason ->> 'code'), txid) WHERE outcome = 'aborted' AND NOT registered;
      CREATE INDEX tx_end_saga ON tx_end (outcome, txid) WHERE outcome IN ('completed', 'compensated');
      CREATE INDEX tx_end_time ON tx_end USING brin (finished_at) WITH (autosummarize = on, pages_per_range = 32);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE tx_end, tx_decision, tx_progress, tx_open, tx_begin, idempotency_key, tx_horizon, shard');
  }
}
