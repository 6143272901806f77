import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who takes part, and what operators did. Operations are kept per instance, because during a rolling upgrade the instances of
 * one participant offer different ones.
 */
export class ParticipantsAndAudit implements MigrationInterface {
  readonly name = 'ParticipantsAndAudit0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE participant (
        name text PRIMARY KEY CHECK (name <> ''),
        paused boolean NOT NULL DEFAULT false,
        first_seen_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE participant_instance (
        participant text NOT NULL REFERENCES participant (name) ON DELETE CASCADE,
        instance text NOT NULL CHECK (instance <> ''),
        version text NOT NULL,
        operations jsonb NOT NULL CHECK (jsonb_typeof(operations) = 'array'),
        acceptor boolean NOT NULL,
        first_seen_at timestamptz NOT NULL DEFAULT now(),
        last_seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (participant, instance)
      );

      CREATE TABLE audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        actor text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        comment text,
        result text NOT NULL
      );
      CREATE INDEX audit_target ON audit (target, id);
      CREATE INDEX audit_at ON audit (at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE audit, participant_instance, participant');
  }
}
