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

/** Dropped first: that takes the lock on messages that is enough for both, so that nobody who waits for one can stand in the way of the other. */
async function replace(runner: QueryRunner, columns: string): Promise<void> {
  await runner.query('drop index messages_origin');
  await runner.query(`create index messages_origin on messages ${columns} where origin is not null`);
}
