import type { MigrationInterface, QueryRunner } from 'typeorm';

/** For how long sessions are kept: a policy of the service, policies of users, and since when a session is completed. */
export class Retention1765238400000 implements MigrationInterface {
  readonly name = 'Retention1765238400000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(POLICIES);
    await runner.query('alter table sessions add completed_at timestamptz(3)');
    // completing was an activity, and what came after it made no rule due sooner
    await runner.query(`update sessions set completed_at = last_activity_at where state = 'completed'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table sessions drop completed_at');
    await runner.query('drop table retention_policies');
  }
}

/** The one without a name is the service's. */
const POLICIES = `
create table retention_policies (
  user_id text collate "C" constraint retention_policies_pkey primary key,
  policy jsonb not null,
  version integer not null,
  updated_at timestamptz(3) not null
);
insert into retention_policies values ('', '{
  "auto_archive_inactive_days": null, "auto_delete_archived_days": null, "delete_completed_days": null,
  "max_age_days": null, "purge_deleted_days": 30, "max_sessions_per_user": null}', 1, now());
`;
