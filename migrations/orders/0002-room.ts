import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Every order is written twice: free room in its page lets the second version stay there (HOT), and the index as it is. */
export class Room implements MigrationInterface {
  readonly name = 'Room0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE orders SET (fillfactor = 50)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE orders RESET (fillfactor)');
  }
}
