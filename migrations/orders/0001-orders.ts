import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A rejected order's id may be used again; any other may not. */
export class Orders implements MigrationInterface {
  readonly name = 'Orders0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE orders (
        id text PRIMARY KEY,
        customer_id text NOT NULL,
        sku text NOT NULL,
        quantity int NOT NULL CHECK (quantity > 0),
        amount_cents bigint NOT NULL CHECK (amount_cents >= 0),
        status text NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected'))
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE orders');
  }
}
