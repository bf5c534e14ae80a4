import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Figures of a session: counters, the models it used, and what its messages come to by role, model and day. The last is
 * derived: an append writes none of it.
 */
export class SessionStats1765152000000 implements MigrationInterface {
  readonly name = 'SessionStats1765152000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table message_sums, message_folds, model_reports, model_usage, session_stats');
    await runner.query(`delete from stream_positions where name = 'message_sums'`);
  }
}

const TABLES = `
create table session_stats (
  session_key bigint constraint session_stats_pkey primary key,
  counters json not null,
  metadata json not null,
  reports bigint not null,
  switches bigint not null,
  last_switch_at timestamptz(3)
);

create table model_usage (
  session_key bigint not null,
  model_type text not null,
  model_name text collate "C" not null,
  calls bigint not null,
  tokens bigint not null,
  cost_usd numeric(20,10) not null,
  first_used_at timestamptz(3) not null,
  last_used_at timestamptz(3) not null,
  last_n bigint not null,
  constraint model_usage_pkey primary key (session_key, model_type, model_name)
);

create table model_reports (
  session_key bigint not null,
  n bigint not null,
  model_type text not null,
  model_name text collate "C" not null,
  calls bigint not null,
  tokens bigint not null,
  cost_usd numeric(20,10) not null,
  reported_at timestamptz(3) not null,
  constraint model_reports_pkey primary key (session_key, n)
);

create table message_folds (
  session_key bigint constraint message_folds_pkey primary key,
  folded_seq bigint not null
);

create table message_sums (
  session_key bigint not null,
  kind text not null,
  name text collate "C" not null,
  messages bigint not null,
  tokens bigint not null,
  cost numeric not null,
  constraint message_sums_pkey primary key (session_key, kind, name)
);

insert into stream_positions values ('message_sums', 0, 0, now());
`;
