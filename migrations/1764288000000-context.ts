import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Summaries of sessions, and indexes to the messages that hold for a whole session and to the copies of a message. */
export class Context1764288000000 implements MigrationInterface {
  readonly name = 'Context1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table summaries (
        session_key bigint constraint summaries_pkey primary key,
        to_seq bigint not null,
        lines json not null
      )`);
    await runner.query(
      `create index messages_pinned on messages (session_key, seq) where role in ('system', 'developer')`,
    );
    await runner.query(
      `create index messages_origin on messages ((origin ->> 'session_id'), (origin ->> 'message_id')) where origin is not null`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index messages_origin, messages_pinned');
    await runner.query('drop table summaries');
  }
}
