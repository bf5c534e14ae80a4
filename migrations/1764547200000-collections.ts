import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Vector collections of sessions: which are wanted, there, to be dropped. */
export class Collections1764547200000 implements MigrationInterface {
  readonly name = 'Collections1764547200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table collections (
        name text collate "C" constraint collections_pkey primary key,
        session_key bigint not null,
        shape json not null,
        payload_indexes json not null,
        backend text not null,
        direct_writes boolean not null,
        state text not null constraint collections_state check (state in ('wanted', 'ready', 'dropping')),
        error text,
        attempts integer not null default 0,
        due_at timestamptz(3)
      )`);
    await runner.query(
      `create unique index collections_session on collections (session_key) where state <> 'dropping'`,
    );
    await runner.query('create index collections_due on collections (due_at) where due_at is not null');
    await runner.query(
      'create table installation (id text collate "C" constraint installation_pkey primary key)',
    );
    await runner.query(
      `insert into installation (id) values ('ss' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 8))`,
    );
    await runner.query(
      'alter table session_details add collection json, add wants_collection boolean not null default false',
    );
    await runner.query(
      'create index session_details_wants_collection on session_details (key) where wants_collection',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop index session_details_wants_collection');
    await runner.query('alter table session_details drop wants_collection, drop collection');
    await runner.query('drop table installation');
    await runner.query('drop table collections');
  }
}
