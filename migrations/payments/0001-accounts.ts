import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Prepare moves money from balance to held, commit from held to the ledger; sum(balance + held) + sum(ledger) never changes.
 * An order id may come twice when no orders service guards it, and a commit cannot refuse: the ledger takes what it is given.
 * Accounts are updated all the time: free room in their pages lets the new version stay on the page (HOT).
 */
export class Accounts implements MigrationInterface {
  readonly name = 'Accounts0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE account (
        customer_id text PRIMARY KEY,
        balance_cents bigint NOT NULL CHECK (balance_cents >= 0),
        held_cents bigint NOT NULL DEFAULT 0 CHECK (held_cents >= 0)
      ) WITH (fillfactor = 50);

      CREATE TABLE ledger_entry (
        order_id text NOT NULL,
        customer_id text NOT NULL,
        amount_cents bigint NOT NULL CHECK (amount_cents >= 0)
      );
      CREATE INDEX ledger_entry_order ON ledger_entry (order_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE ledger_entry, account');
  }
}
