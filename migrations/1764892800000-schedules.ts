import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is done at set times, once for all processes. */
export class Schedules1764892800000 implements MigrationInterface {
  readonly name = 'Schedules1764892800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table schedules (
        name text collate "C" not null constraint schedules_pkey primary key,
        cron text collate "C" not null,
        due_at timestamptz(3) not null
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table schedules');
  }
}
