import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The copies of a message by bytes, as ids are compared everywhere: an index in another order served no query that names a column. */
export class OriginsByBytes1765497600000 implements MigrationInterface {
  readonly name = 'OriginsByBytes1765497600000';

  async up(runner: QueryRunner): Promise<void> {
    await replace(runner, `((origin ->> 'session_id') collate "C", (origin ->> 'message_id') collate "C")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await replace(runner, `((origin ->> 'session_id'), (origin ->> 'message_id'))`);
  }
}

/** Readers wait only for the end of it: the old one is dropped when the new one is made. */
async function replace(runner: QueryRunner, columns: string): Promise<void> {
  await runner.query(`create index messages_origin_new on messages ${columns} where origin is not null`);
  await runner.query('drop index messages_origin');
  await runner.query('alter index messages_origin_new rename to messages_origin');
}
