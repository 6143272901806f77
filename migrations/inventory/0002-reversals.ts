import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A saga that is compensated puts stock back by an entry of its own, with the negative quantity: an order's sum is what it took. */
export class Reversals implements MigrationInterface {
  readonly name = 'Reversals0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE stock_movement DROP CONSTRAINT stock_movement_quantity_check,
        ADD CONSTRAINT stock_movement_quantity_check CHECK (quantity <> 0);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE stock_movement DROP CONSTRAINT stock_movement_quantity_check,
        ADD CONSTRAINT stock_movement_quantity_check CHECK (quantity > 0) NOT VALID;
    `);
  }
}
