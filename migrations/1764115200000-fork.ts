import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What of a session's figures comes from other sessions: totals over several subtract it, so that nothing counts twice. */
export class Fork1764115200000 implements MigrationInterface {
  readonly name = 'Fork1764115200000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(COLUMNS);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions drop copied_messages, drop copied_tokens, drop copied_cost');
  }
}

/** A constant default: no row is rewritten. */
const COLUMNS = `
alter table sessions
  add copied_messages bigint not null default 0,
  add copied_tokens bigint not null default 0,
  add copied_cost numeric(20,10) not null default 0;
`;
