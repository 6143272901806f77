import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What a load test's extra participants hold, built as stock is, and filled at once: nothing else uses it. Held by a prepared branch, moved
 * out by a committed one; of a saga that is compensated the negative amount says so. sum(available + held) + sum(movements) never changes.
 */
export class Holds implements MigrationInterface {
  readonly name = 'Holds0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE supply (
        key text PRIMARY KEY,
        available bigint NOT NULL CHECK (available >= 0),
        held bigint NOT NULL DEFAULT 0 CHECK (held >= 0)
      ) WITH (fillfactor = 50);
      INSERT INTO supply (key, available) SELECT 'k-' || n, 1000000 FROM generate_series(1, 10000) n;

      CREATE TABLE supply_movement (
        order_id text NOT NULL,
        key text NOT NULL,
        amount int NOT NULL CHECK (amount <> 0)
      );
      CREATE INDEX supply_movement_order ON supply_movement (order_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE supply_movement, supply');
  }
}
