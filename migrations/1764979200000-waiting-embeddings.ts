import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Texts of deleted sessions wait to be embedded until these are restored. */
export class WaitingEmbeddings1764979200000 implements MigrationInterface {
  readonly name = 'WaitingEmbeddings1764979200000';

  async up(runner: QueryRunner): Promise<void> {
    await this.allow(runner, `'due', 'waiting', 'answered', 'stored', 'refused', 'gone'`);
    await runner.query(
      `create index text_vectors_waiting on text_vectors (place_key) where state = 'waiting'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index text_vectors_waiting');
    await runner.query(`update text_vectors set state = 'due' where state = 'waiting'`);
    await this.allow(runner, `'due', 'answered', 'stored', 'refused', 'gone'`);
  }

  private async allow(runner: QueryRunner, states: string): Promise<void> {
    await runner.query('alter table text_vectors drop constraint text_vectors_state');
    await runner.query(
      `alter table text_vectors add constraint text_vectors_state check (state in (${states}))`,
    );
  }
}
