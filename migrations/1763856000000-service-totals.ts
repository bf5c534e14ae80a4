import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What all sessions come to, folded in the background out of the log of events. */
export class ServiceTotals1763856000000 implements MigrationInterface {
  readonly name = 'ServiceTotals1763856000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table session_totals, service_totals, stream_positions');
  }
}

const TABLES = `
create table stream_positions (
  name text constraint stream_positions_pkey primary key,
  tx bigint not null,
  position bigint not null,
  as_of timestamptz(3) not null
);
create table session_totals (
  session_key bigint constraint session_totals_pkey primary key,
  status text not null,
  messages bigint not null,
  tokens bigint not null,
  cost numeric(20,10) not null
);
create table service_totals (
  status text constraint service_totals_pkey primary key,
  sessions bigint not null,
  messages bigint not null,
  tokens numeric not null,
  cost numeric not null
);
insert into stream_positions values ('service_totals', 0, 0, now());
`;
