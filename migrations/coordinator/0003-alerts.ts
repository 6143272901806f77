import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What somebody outside is to be told: at most one alert for each transaction, made from its ATTENTION row, which is why none is lost by a
 * crash. The columns beside `data` are the state of the delivery.
 */
export class Alerts implements MigrationInterface {
  readonly name = 'Alerts0000000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE alert (
        txid uuid PRIMARY KEY,
        protocol text NOT NULL,
        data jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        attempts int NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        delivered boolean NOT NULL DEFAULT false,
        CHECK (ended_at IS NOT NULL OR NOT delivered)
      );
      CREATE INDEX alert_due ON alert (due_at) WHERE ended_at IS NULL;
      CREATE INDEX alert_ended ON alert (ended_at) WHERE ended_at IS NOT NULL;
      CREATE INDEX tx_progress_attention ON tx_progress (txid) WHERE kind = 'ATTENTION';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX tx_progress_attention; DROP TABLE alert');
  }
}
