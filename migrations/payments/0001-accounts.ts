import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Prepare moves money from balance to held, commit from held to the ledger; sum(balance + held) + sum(ledger) never changes.
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
        order_id text PRIMARY KEY,
        customer_id text NOT NULL,
        amount_cents bigint NOT NULL CHECK (amount_cents >= 0)
      );
      CREATE INDEX ledger_entry_customer ON ledger_entry (customer_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE ledger_entry, account');
  }
}
