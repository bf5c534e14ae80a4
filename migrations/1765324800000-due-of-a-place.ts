import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is due of a place already is found, so that it is not noted again and again. */
export class DueOfAPlace1765324800000 implements MigrationInterface {
  readonly name = 'DueOfAPlace1765324800000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create index derived_due_place on derived_due (place_key, memory_id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index derived_due_place');
  }
}
