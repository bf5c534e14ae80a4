import { Injectable } from '@nestjs/common';
import { newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { boundedPage, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { type Statement, statement } from '../database/statement.js';
import { isOwnedBy } from './erased-owner.sql.js';
import { JOB_ROW, type JobState } from './job.entity.js';
import type { JobRow } from './jobs.schemas.js';

export interface NewRow {
  kind: string;
  userId: string | null;
  sessionIds: string[];
  input: JsonObject;
  dedupKey: string | null;
  maxFailures: number;
}

export interface ListFilter {
  /** whose; null: everybody's */
  user: string | null;
  state: JobState | null;
  kind: string | null;
  /** key of the last one seen */
  before: number | null;
  limit: number;
}

/** Rows of jobs, as those who asked for them see and change them. */
@Injectable()
export class JobsRepository {
  constructor(private readonly database: Database) {}

  /** null: one with this dedup key is queued or running */
  async insert({ kind, userId, sessionIds, input, dedupKey, maxFailures }: NewRow): Promise<JobRow | null> {
    const values = [newId(), kind, userId, sessionIds, JSON.stringify(input), dedupKey, maxFailures];
    const [row] = await this.database.query<JobRow>(INSERT, values);
    return row ?? null;
  }

  async findUnfinished(dedupKey: string): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(FIND_UNFINISHED, [dedupKey]);
    return row ?? null;
  }

  async find(id: string, user: string | null): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(FIND, [id, user]);
    return row ?? null;
  }

  async findByKey(key: number, user: string | null): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(FIND_BY_KEY, [key, user]);
    return row ?? null;
  }

  /** Newest first. */
  findPage({ user, state, kind, before, limit }: ListFilter): Promise<(JobRow & Counted)[]> {
    const values = [
      before,
      limit + 1,
      pageBytes(false),
      kind,
      ...(user === null ? [] : [user]),
      ...(state ? [state] : []),
    ];
    return this.database.query(listOf(user !== null, state !== null), values);
  }

  /** Forgets what is over and well long since; answers how many. */
  async forget(days: number, limit: number): Promise<number> {
    return (await this.database.query(FORGET, [days, limit])).length;
  }

  /** One that is queued is cancelled, one that runs is asked to stop; null: it is over, or past the point where it could be. */
  async cancel(key: number): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(CANCEL, [key]);
    return row ?? null;
  }

  /** null: it neither failed nor was cancelled */
  async requeue(key: number): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(REQUEUE, [key]);
    return row ?? null;
  }
}

const INSERT = statement(
  'jobs.insert',
  `insert into jobs (job_id, kind, user_id, session_ids, input, dedup_key, state, done, attempts, failures, max_failures,
     due_at, cancel_requested, created_at)
   values ($1, $2, $3, $4::text[], $5::jsonb, $6, 'queued', 0, 0, 0, $7, now(), false, now())
   on conflict (dedup_key) where due_at is not null do nothing
   returning ${JOB_ROW}`,
);

const FIND_UNFINISHED = statement(
  'jobs.findUnfinished',
  `select ${JOB_ROW} from jobs where dedup_key = $1 and due_at is not null`,
);

const FIND = statement(
  'jobs.find',
  `select ${JOB_ROW} from jobs j where job_id = $1::uuid and ($2::text is null or ${isOwnedBy('j', '$2')})`,
);

const FIND_BY_KEY = statement(
  'jobs.findByKey',
  `select ${JOB_ROW} from jobs j where key = $1 and ($2::text is null or ${isOwnedBy('j', '$2')})`,
);

/** A text for each way to ask, so that each is found by its own index. */
function listOf(isOfUser: boolean, hasState: boolean): Statement {
  const name = ['jobs.list', isOfUser && 'ofUser', hasState && 'byState'].filter(Boolean).join(' ');
  const whose = isOfUser ? 'and user_id = $5' : '';
  const which = hasState ? `and state = $${isOfUser ? 6 : 5}` : '';
  const rows = `
    select ${JOB_ROW}, octet_length(session_ids::text) + coalesce(octet_length(result::text), 0) as size from jobs
    where key < coalesce($1::bigint, 9223372036854775807) and ($4::text is null or kind = $4) ${whose} ${which}
    order by key desc limit $2::int`;
  return statement(name, boundedPage(rows, 'key desc', '$3'));
}

const FORGET = statement(
  'jobs.forget',
  `delete from jobs where key in (
     select key from jobs where finished_at < now() - make_interval(days => $1) and state <> 'failed'
     order by finished_at limit $2 for update skip locked)
   returning 1`,
);

const CANCEL = statement(
  'jobs.cancel',
  `update jobs set cancel_requested = true,
     state = case state when 'queued' then 'cancelled' else state end,
     due_at = case state when 'queued' then null else due_at end,
     finished_at = case state when 'queued' then now() end
   where key = $1 and due_at is not null and not committed
   returning ${JOB_ROW}`,
);

const REQUEUE = statement(
  'jobs.requeue',
  `update jobs set state = 'queued', failures = 0, cancel_requested = false, due_at = now(), finished_at = null
   where key = $1 and state in ('failed', 'cancelled')
   returning ${JOB_ROW}`,
);
