import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Crash detection by heartbeat, the history of checkpoints, redaction. */
export class Lifecycle1763769600000 implements MigrationInterface {
  readonly name = 'Lifecycle1763769600000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(SESSIONS);
    await runner.query(CHECKPOINTS);
    await runner.query('alter table messages add redacted_at timestamptz(3)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table messages drop redacted_at');
    await runner.query('drop table checkpoints');
    await runner.query('drop index sessions_expires, sessions_overdue');
    await runner.query('alter table session_details drop checkpoint_n');
    await runner.query('alter table sessions drop overdue_at, drop recoveries');
  }
}

const SESSIONS = `
alter table sessions add overdue_at timestamptz(3), add recoveries integer not null default 0;
alter table session_details add checkpoint_n bigint not null default 0;
create index sessions_expires on sessions (expires_at)
  where expires_at is not null and deleted_at is null and purged_at is null and not legal_hold;
create index sessions_overdue on sessions (overdue_at)
  where overdue_at is not null and deleted_at is null and purged_at is null;
`;

/** What a session showed before has no number: it becomes the first of its history. */
const CHECKPOINTS = `
create table checkpoints (
  session_key bigint not null,
  n bigint not null,
  checkpoint json not null,
  metadata json not null,
  created_at timestamptz(3) not null,
  constraint checkpoints_pkey primary key (session_key, n)
);
insert into checkpoints (session_key, n, checkpoint, metadata, created_at)
  select key, 1, checkpoint, '{}', updated_at from session_details where checkpoint is not null;
update session_details set checkpoint_n = 1 where checkpoint is not null;
`;
