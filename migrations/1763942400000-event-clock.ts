import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far the numbers of the stream of all events run ahead of this server's transactions. */
export class EventClock1763942400000 implements MigrationInterface {
  readonly name = 'EventClock1763942400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLE);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table event_clock');
  }
}

const TABLE = `
create table event_clock (
  name text constraint event_clock_pkey primary key,
  ahead bigint not null
);
insert into event_clock values ('events', 0);
`;
