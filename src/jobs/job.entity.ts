import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import type { Json, JsonObject } from '../common/json.js';

export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** SQL for a job without what it was told, which may be megabytes that only its handler needs. */
export const JOB_ROW = `key, job_id, kind, user_id, session_ids, dedup_key, state, phase, done, total, cursor, result, error_code,
  error_detail, attempts, failures, max_failures, due_at, cancel_requested, committed, created_at, started_at, finished_at`;

/** Work that outlives a request. This row is the truth; a queue only tells of it. */
@Entity('jobs')
@Index('jobs_id', ['job_id'], { unique: true })
@Index('jobs_dedup', ['dedup_key'], { unique: true, where: 'due_at IS NOT NULL' })
@Index('jobs_due', ['due_at'], { where: 'due_at IS NOT NULL' })
@Index('jobs_user', ['user_id', 'key'])
@Index('jobs_state', ['state', 'key'])
@Index('jobs_finished', ['finished_at'], { where: "state <> 'failed'::text" })
export class Job {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'jobs_pkey',
  })
  key!: number;

  @Column('uuid')
  job_id!: string;

  @Column({ type: 'text', collation: 'C' })
  kind!: string;

  /** whose it is; null: a service's */
  @Column({ type: 'text', collation: 'C', nullable: true })
  user_id!: string | null;

  /** what it works on, for the caller to know */
  @Column({ type: 'text', array: true, collation: 'C' })
  session_ids!: string[];

  /** of the jobs that are queued or running, only one has it */
  @Column({ type: 'text', collation: 'C', nullable: true })
  dedup_key!: string | null;

  @Column('jsonb')
  input!: JsonObject;

  @Column({ type: 'text', collation: 'C' })
  state!: JobState;

  @Column({ type: 'text', collation: 'C', nullable: true })
  phase!: string | null;

  @Column('bigint')
  done!: number;

  @Column('bigint', { nullable: true })
  total!: number | null;

  /** where its handler goes on */
  @Column('jsonb', { nullable: true })
  cursor!: Json;

  @Column('jsonb', { nullable: true })
  result!: Json;

  /** of the last attempt that failed */
  @Column({ type: 'text', collation: 'C', nullable: true })
  error_code!: string | null;

  @Column('text', { nullable: true })
  error_detail!: string | null;

  /** how often a worker has taken it: only the one that took it last may write */
  @Column('integer')
  attempts!: number;

  /** how many attempts failed, or ended with their worker; at `max_failures` it is dead */
  @Column('integer')
  failures!: number;

  @Column('integer')
  max_failures!: number;

  /** queued: when it is to run; running: when its worker is taken for dead; null: it is over */
  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  due_at!: Date | null;

  @Column('boolean')
  cancel_requested!: boolean;

  /** its effect is there: what is left to do is done, and not cancelled any more */
  @Column({ type: 'boolean', default: false })
  committed!: boolean;

  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  started_at!: Date | null;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  finished_at!: Date | null;
}
