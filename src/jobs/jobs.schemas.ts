import { z } from 'zod';
import { pageFields } from '../http/paging.js';
import { pageQuery, timestamp } from '../http/schemas.js';
import { JOB_STATES, type Job } from './job.entity.js';

/** One that cannot exist is simply not found. */
export const jobId = z
  .string()
  .transform((id) => id.toLowerCase())
  .meta({ example: '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10' });

export const jobView = z
  .strictObject({
    job_id: z.uuid(),
    kind: z.string(),
    state: z.enum(JOB_STATES),
    progress: z.strictObject({
      phase: z.string().nullable(),
      done: z.int(),
      total: z.int().nullable().meta({ description: 'null: not known' }),
    }),
    session_ids: z.array(z.string()),
    result: z.unknown().meta({ description: 'once it has succeeded; null before' }),
    error: z
      .strictObject({ code: z.string(), detail: z.string() })
      .nullable()
      .meta({ description: 'of the last attempt that failed; null once it has succeeded' }),
    attempts: z.int().meta({ description: 'how often a worker has begun it' }),
    created_at: timestamp,
    started_at: timestamp.nullable(),
    finished_at: timestamp.nullable(),
  })
  .meta({
    id: 'Job',
    example: {
      job_id: '0190b5b0-6a3c-7c7e-9a53-6f1d3c1f2a10',
      kind: 'summarize',
      state: 'running',
      progress: { phase: 'messages', done: 50, total: 200 },
      session_ids: ['support-4711'],
      result: null,
      error: null,
      attempts: 1,
      created_at: '2026-01-31T12:00:00.000Z',
      started_at: '2026-01-31T12:00:00.250Z',
      finished_at: null,
    },
  });

export const jobsPage = z.strictObject({ jobs: z.array(jobView), ...pageFields }).meta({ id: 'JobsPage' });

export const jobsQuery = z.strictObject({
  state: z.enum(JOB_STATES).optional(),
  kind: z.string().min(1).max(64).optional(),
  ...pageQuery(50, 200),
});
export type JobsQuery = z.output<typeof jobsQuery>;

/** A job as it is read: what it was told is for its handler. */
export type JobRow = Omit<Job, 'input'>;

/** A job as the API shows it. */
export const toView = (job: JobRow) => ({
  job_id: job.job_id,
  kind: job.kind,
  state: job.state,
  progress: { phase: job.phase, done: job.done, total: job.total },
  session_ids: job.session_ids,
  result: job.result,
  error: job.error_code === null ? null : { code: job.error_code, detail: job.error_detail },
  attempts: job.attempts,
  created_at: job.created_at.toISOString(),
  started_at: job.started_at?.toISOString() ?? null,
  finished_at: job.finished_at?.toISOString() ?? null,
});
