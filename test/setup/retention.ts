import { newId } from '../../src/common/ids.js';
import { JobQueue } from '../../src/jobs/job-queue.js';
import type { Api } from './api.js';
import type { TestApp } from './app.js';
import type { TestDatabase } from './database.js';
import { eventually } from './eventually.js';

/** A session as the rules see it; times in milliseconds. */
export interface Kept {
  id: string;
  user: string | null;
  state: 'active' | 'paused' | 'completed' | 'crashed';
  created: number;
  activity: number;
  completed: number | null;
  archived: number | null;
  deleted: number | null;
  expires: number | null;
  overdue: number | null;
  recovers: boolean;
  held: boolean;
  busy: boolean;
  hidden: boolean;
}

export interface Step {
  session_id: string;
  action: 'archive' | 'delete' | 'purge';
  rule: string;
  due_since: string;
}

// biome-ignore lint/suspicious/noExplicitAny: rows of answers of every shape
type Row = any;

/** An active session that was made, and last used, at this moment. */
export const kept = (id: string, user: string | null, at: number, rest: Partial<Kept> = {}): Kept => ({
  ...{ id, user, state: 'active', created: at, activity: at },
  ...{ completed: null, archived: null, deleted: null, expires: null, overdue: null },
  ...{ recovers: false, held: false, busy: false, hidden: false },
  ...rest,
});

/** Puts sessions into the database, in this order of their keys. */
export async function insertKept({ pool }: TestDatabase, sessions: Kept[]): Promise<void> {
  await pool.query(
    `with given as (select * from json_to_recordset($1::json) as g(
       id text, "user" text, state text, created float8, activity float8, completed float8, archived float8, deleted float8,
       expires float8, overdue float8, recovers boolean, held boolean, busy boolean, hidden boolean, n bigint)),
     s as (
       insert into sessions (id, user_id, agent_id, session_type, runtime_backend, state, created_at, last_activity_at, completed_at,
         archived_at, deleted_at, deleted_reason, expires_at, timeout_minutes, overdue_at, heartbeat_timeout_seconds, auto_recover,
         legal_hold, busy_job, purged_at, version, message_count, total_tokens, total_cost, last_call_seq, event_seq, event_tx)
       select id, "user", 'agent', 'conversation', 'unknown', state, to_timestamp(created / 1000), to_timestamp(activity / 1000),
         to_timestamp(completed / 1000), to_timestamp(archived / 1000), to_timestamp(deleted / 1000),
         case when deleted is not null then 'requested' end, to_timestamp(expires / 1000), case when expires is not null then 60 end,
         to_timestamp(overdue / 1000), case when overdue is not null then 60 end, recovers, held,
         case when busy then gen_random_uuid() end, case when hidden then now() + interval '1 day' end, 1, 0, 0, 0, 0, 0, 0
       from given order by n returning *)
     insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data, runtime_metadata,
       session_summary, created_at, updated_at)
     select key, user_id, '', '{}', '{}', '{}', '{}', '{}', '{}', '', created_at, created_at from s`,
    [JSON.stringify(sessions.map((one, n) => ({ ...one, n })))],
  );
}

/** A cleanup as if it had begun at this moment, to its end; answers what it told. */
export async function cleanUpAt(
  { app, database }: TestApp,
  service: Api,
  at: number,
  dryRun: boolean,
): Promise<{ counts: Row; actions: Step[] }> {
  const id = newId();
  const cursor = {
    ...{ dry_run: dryRun, as_of: new Date(at).toISOString(), phase: 'rules', after: 0, within: null },
    ...{ counts: { archive: 0, delete: 0, purge: 0 }, actions: [] },
  };
  await database.pool.query(
    `insert into jobs (job_id, kind, session_ids, input, cursor, state, done, attempts, failures, max_failures, due_at, cancel_requested, created_at)
     values ($1, 'cleanup', '{}', $2, $3, 'queued', 0, 0, 0, 5, now(), false, now())`,
    [id, { dry_run: dryRun }, cursor],
  );
  await app.get(JobQueue, { strict: false }).tell(id);
  const { body } = await eventually(
    () => service.get(`/jobs/${id}`),
    ({ body }) => body.finished_at !== null,
  );
  if (body.state !== 'succeeded') throw new Error(JSON.stringify(body));
  return body.result;
}
