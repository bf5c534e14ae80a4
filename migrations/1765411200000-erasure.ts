import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which places an erasure has touched: what was derived there must be out of the vector stores before it ends. */
export class Erasure1765411200000 implements MigrationInterface {
  readonly name = 'Erasure1765411200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table erasure_places (
        job_id uuid not null,
        place_key bigint not null,
        constraint erasure_places_pkey primary key (job_id, place_key)
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table erasure_places');
  }
}
