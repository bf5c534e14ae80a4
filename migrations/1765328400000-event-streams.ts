import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Old events are removed by the order of their stream, and the stream is published by one process at a time. */
export class EventStreams1765328400000 implements MigrationInterface {
  readonly name = 'EventStreams1765328400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table stream_positions add holder uuid, add held_until timestamptz(3)');
    await runner.query(
      `insert into stream_positions (name, tx, position, as_of) values ('removed', 0, 0, now())`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`delete from stream_positions where name in ('removed', 'published')`);
    await runner.query('alter table stream_positions drop holder, drop held_until');
  }
}
