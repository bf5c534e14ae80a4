import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The words of messages and of memory, and what is still to be read for them: from the first event on, so all there is. */
export class Search1764201600000 implements MigrationInterface {
  readonly name = 'Search1764201600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create extension if not exists btree_gin');
    await runner.query('create extension if not exists fuzzystrmatch');
    await runner.query(TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table memory_texts, message_texts, search_language, derived_due');
    await runner.query(`delete from stream_positions where name = 'derived'`);
  }
}

const TABLES = `
create table derived_due (
  n bigint generated always as identity constraint derived_due_pkey primary key,
  place_key bigint not null,
  from_seq bigint,
  to_seq bigint,
  memory_id uuid
);

create table search_language (
  language text constraint search_language_pkey primary key
);

create table message_texts (
  place_key bigint not null,
  item bigint not null,
  part integer not null,
  owner bigint not null,
  words tsvector not null,
  constraint message_texts_pkey primary key (place_key, item, part)
);
create index message_texts_words on message_texts using gin (owner, place_key, words);

create table memory_texts (
  place_key bigint not null,
  item bigint not null constraint memory_texts_entry references memory_entries on delete cascade,
  part integer not null,
  owner bigint not null,
  words tsvector not null,
  version bigint not null,
  constraint memory_texts_pkey primary key (item, part)
);
create index memory_texts_words on memory_texts using gin (owner, place_key, words);
create index memory_texts_place on memory_texts (place_key);

insert into search_language values ('simple');
insert into stream_positions values ('derived', 0, 0, now());
`;
