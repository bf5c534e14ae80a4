import { Injectable } from '@nestjs/common';
import type { Json } from '../common/json.js';
import { Database } from '../database/database.js';
import { type Statement, statement } from '../database/statement.js';
import { JOB_ROW, type Job } from './job.entity.js';
import type { Progress } from './job-handler.js';
import type { JobRow } from './jobs.schemas.js';

/** Seconds after its last sign of life that a worker is taken for dead. */
export const LEASE_SECONDS = 30;

/** Who may write: whoever took the job last, as long as nobody else has. */
export type Lease = Pick<Job, 'key' | 'attempts'>;

/** Rows of jobs, as workers take and change them. Every write names the attempt it is of, so that a worker taken for dead writes nothing. */
@Injectable()
export class LeasesRepository {
  constructor(private readonly database: Database) {}

  /** Takes a job that is due, this one or the one that is due longest; null: none is. */
  async claim(kinds: string[], id: string | null): Promise<Job | null> {
    const [row] = await (id === null
      ? this.database.query<Job>(CLAIM, [kinds])
      : this.database.query<Job>(CLAIM_ONE, [kinds, id]));
    return row ?? null;
  }

  /** Ends a job that lost its worker and is not to be tried again; null: there is none. */
  async bury(): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(BURY);
    return row ?? null;
  }

  /** Whether it is still ours and wanted; holds the row until the transaction ends. */
  async hold(lease: Lease): Promise<boolean> {
    return (await this.write(HOLD, lease)) !== null;
  }

  async step(
    lease: Lease,
    cursor: Json,
    { phase, done, total }: Progress,
    isCommitted: boolean,
  ): Promise<boolean> {
    const values = [jsonb(cursor), phase ?? null, done ?? null, total ?? null, isCommitted];
    return (await this.write(STEP, lease, values)) !== null;
  }

  /** A sign of life; null: not ours any more. */
  renew(lease: Lease): Promise<JobRow | null> {
    return this.write(RENEW, lease);
  }

  // each answers the job as it is now; null: not ours any more

  succeed(lease: Lease, result: Json): Promise<JobRow | null> {
    return this.write(SUCCEED, lease, [jsonb(result)]);
  }

  /** To be tried again after so many seconds; null: it is dead. */
  fail(lease: Lease, code: string, detail: string, retryAfter: number | null): Promise<JobRow | null> {
    return this.write(FAIL, lease, [code, detail, retryAfter]);
  }

  cancel(lease: Lease): Promise<JobRow | null> {
    return this.write(CANCEL, lease);
  }

  /** Lets another take it at once. */
  release(lease: Lease): Promise<JobRow | null> {
    return this.write(RELEASE, lease);
  }

  private async write(
    sql: Statement,
    { key, attempts }: Lease,
    values: unknown[] = [],
  ): Promise<JobRow | null> {
    const [row] = await this.database.query<JobRow>(sql, [key, attempts, ...values]);
    return row ?? null;
  }
}

const jsonb = (value: Json) => (value === null ? null : JSON.stringify(value));

// not now(): a fenced step may have taken most of a lease
const LEASE_END = `clock_timestamp() + interval '${LEASE_SECONDS} seconds'`;
/** A worker is gone: it fails for the last time, or nobody wants it any more. */
const IS_LOST = `state = 'running' and (cancel_requested or failures + 1 >= max_failures)`;
const MINE = `key = $1 and attempts = $2 and state = 'running'`;

const claim = (which: string) =>
  `update jobs set state = 'running', attempts = attempts + 1, failures = failures + (state = 'running')::int,
     due_at = ${LEASE_END}, started_at = coalesce(started_at, now())
   where key = (
     select key from jobs where due_at <= now() and kind = any($1::text[]) and not (${IS_LOST}) ${which}
     for update skip locked)
   returning *`;
const CLAIM = statement('jobs.claim', claim('order by due_at, key limit 1'));
const CLAIM_ONE = statement('jobs.claimOne', claim('and job_id = $2::uuid'));

const BURY = statement(
  'jobs.bury',
  `update jobs set state = case when cancel_requested then 'cancelled' else 'failed' end, failures = failures + 1,
     error_code = case when cancel_requested then error_code else 'worker_lost' end,
     error_detail = case when cancel_requested then error_detail else 'The process that ran it ended.' end,
     due_at = null, finished_at = now()
   where key in (select key from jobs where due_at <= now() and ${IS_LOST} limit 1 for update skip locked)
   returning ${JOB_ROW}`,
);

const HOLD = statement(
  'jobs.hold',
  `select ${JOB_ROW} from jobs where ${MINE} and not cancel_requested for update`,
);

const STEP = statement(
  'jobs.step',
  `update jobs set cursor = $3::jsonb, phase = coalesce($4, phase), done = coalesce($5::bigint, done),
     total = coalesce($6::bigint, total), committed = committed or $7, due_at = ${LEASE_END}
   where ${MINE} and not cancel_requested
   returning ${JOB_ROW}`,
);

const RENEW = statement(
  'jobs.renew',
  `update jobs set due_at = ${LEASE_END} where ${MINE} returning ${JOB_ROW}`,
);

const SUCCEED = statement(
  'jobs.succeed',
  `update jobs set state = 'succeeded', result = $3::jsonb, error_code = null, error_detail = null, due_at = null, finished_at = now()
   where ${MINE} returning ${JOB_ROW}`,
);

const FAIL = statement(
  'jobs.fail',
  `update jobs set failures = failures + 1, error_code = $3, error_detail = $4,
     state = case when cancel_requested then 'cancelled' when $5::float8 is null then 'failed' else 'queued' end,
     due_at = case when not cancel_requested then now() + make_interval(secs => $5) end,
     finished_at = case when cancel_requested or $5 is null then now() end
   where ${MINE} returning ${JOB_ROW}`,
);

const CANCEL = statement(
  'jobs.cancelRunning',
  `update jobs set state = 'cancelled', due_at = null, finished_at = now() where ${MINE} returning ${JOB_ROW}`,
);

const RELEASE = statement(
  'jobs.release',
  `update jobs set state = case when cancel_requested then 'cancelled' else 'queued' end,
     due_at = case when not cancel_requested then now() end, finished_at = case when cancel_requested then now() end
   where ${MINE} returning ${JOB_ROW}`,
);
