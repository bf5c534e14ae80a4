import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is known of the embeddings of texts: to be asked for, answered, stored, to be removed. */
export class Embeddings1764633600000 implements MigrationInterface {
  readonly name = 'Embeddings1764633600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table text_vectors (
        kind text collate "C" not null constraint text_vectors_kind check (kind in ('message', 'entry')),
        place_key bigint not null,
        item bigint not null,
        part integer not null,
        owner bigint not null,
        version bigint not null,
        state text not null
          constraint text_vectors_state check (state in ('due', 'answered', 'stored', 'refused', 'gone')),
        vector bytea,
        spaces text[] not null default '{}',
        taken_until timestamptz(3),
        constraint text_vectors_pkey primary key (place_key, item, kind, part)
      )`);
    await runner.query(
      `create index text_vectors_open on text_vectors (state, taken_until) where state in ('due', 'answered', 'gone')`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table text_vectors');
  }
}
