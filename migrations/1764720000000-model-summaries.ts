import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Summaries that a model wrote, beside the sentences of the messages since. */
export class ModelSummaries1764720000000 implements MigrationInterface {
  readonly name = 'ModelSummaries1764720000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table summaries add written json');
    await runner.query(
      'create index messages_redacted on messages (session_key, seq) where redacted_at is not null',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index messages_redacted');
    await runner.query('alter table summaries drop written');
  }
}
