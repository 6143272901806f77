import type { MigrationInterface, QueryRunner } from 'typeorm';

/** As accounts, for pieces: available, reserved by a prepared branch, moved out by a committed one. */
export class Stock implements MigrationInterface {
  readonly name = 'Stock0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE stock (
        sku text PRIMARY KEY,
        available bigint NOT NULL CHECK (available >= 0),
        reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0)
      ) WITH (fillfactor = 50);

      CREATE TABLE stock_movement (
        order_id text NOT NULL,
        sku text NOT NULL,
        quantity int NOT NULL CHECK (quantity > 0)
      );
      CREATE INDEX stock_movement_order ON stock_movement (order_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE stock_movement, stock');
  }
}
