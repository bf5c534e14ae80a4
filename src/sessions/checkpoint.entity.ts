import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { JsonObject } from '../common/json.js';

/** A saved state to resume from. */
@Entity('checkpoints')
export class Checkpoint {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'checkpoints_pkey' })
  session_key!: number;

  /** from 1, without gaps, never used twice; the newest 1,000 are kept */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'checkpoints_pkey' })
  n!: number;

  @Column('json')
  checkpoint!: JsonObject;

  @Column('json')
  metadata!: JsonObject;

  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;
}
