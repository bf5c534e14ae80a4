import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { JsonObject } from '../common/json.js';

/** What others have counted for a session, and how many reports of models there are; changed under the session's row. */
@Entity('session_stats')
export class SessionStats {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'session_stats_pkey' })
  session_key!: number;

  @Column('json')
  counters!: Record<string, number>;

  @Column('json')
  metadata!: JsonObject;

  @Column('bigint')
  reports!: number;

  /** reports that name another model than the one before of the same type */
  @Column('bigint')
  switches!: number;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  last_switch_at!: Date | null;
}

/** All reports of a session on one model. */
@Entity('model_usage')
export class ModelUsage {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'model_usage_pkey' })
  session_key!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'model_usage_pkey' })
  model_type!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'model_usage_pkey', collation: 'C' })
  model_name!: string;

  @Column('bigint')
  calls!: number;

  @Column('bigint')
  tokens!: number;

  @Column({ type: 'numeric', precision: 20, scale: 10 })
  cost_usd!: string;

  @Column({ type: 'timestamptz', precision: 3 })
  first_used_at!: Date;

  @Column({ type: 'timestamptz', precision: 3 })
  last_used_at!: Date;

  /** the last report */
  @Column('bigint')
  last_n!: number;
}

/** One report on a model, numbered from 1 in its session. */
@Entity('model_reports')
export class ModelReport {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'model_reports_pkey' })
  session_key!: number;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'model_reports_pkey' })
  n!: number;

  @Column('text')
  model_type!: string;

  @Column({ type: 'text', collation: 'C' })
  model_name!: string;

  @Column('bigint')
  calls!: number;

  @Column('bigint')
  tokens!: number;

  @Column({ type: 'numeric', precision: 20, scale: 10 })
  cost_usd!: number;

  @Column({ type: 'timestamptz', precision: 3 })
  reported_at!: Date;
}
