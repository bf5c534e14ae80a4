import { Column, Entity, Generated, Index, PrimaryColumn } from 'typeorm';
import type { JsonObject } from '../common/json.js';

/** What happened to a session, or to what is kept for a user. `seq` has no gaps in either; (`tx`, `position`) orders the stream of all. */
@Entity('events')
@Index('events_stream', ['tx', 'position'])
export class Event {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'events_pkey' })
  aggregate_key!: number;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'events_pkey' })
  seq!: number;

  @Column('uuid')
  @Generated('uuid')
  event_id!: string;

  @Column('text')
  event_type!: string;

  @Column('jsonb')
  payload!: JsonObject;

  /** the writing transaction, or the session's last one if that began later: never falls while `seq` rises */
  @Column('bigint')
  tx!: number;

  @Column({ type: 'bigint', generatedIdentity: 'ALWAYS' })
  @Generated('identity' as 'increment')
  position!: number;

  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;
}
