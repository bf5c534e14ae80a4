import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A job reads sessions as they are, and comes to a point from which it only goes on. */
export class BusySessions1764806400000 implements MigrationInterface {
  readonly name = 'BusySessions1764806400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions add busy_job uuid');
    await runner.query('create index sessions_busy on sessions (busy_job) where busy_job is not null');
    await runner.query('alter table jobs add committed boolean not null default false');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table jobs drop committed');
    await runner.query('alter table sessions drop busy_job');
  }
}
