import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whoever waits for a session's row can tell that its members have changed meanwhile. */
export class Sharing1765065600000 implements MigrationInterface {
  readonly name = 'Sharing1765065600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions add sharing integer not null default 0');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions drop sharing');
  }
}
