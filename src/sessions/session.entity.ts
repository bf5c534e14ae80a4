import { Check, Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type { JsonObject } from '../common/json.js';
import type { SessionCollection } from './session-collection.js';

const time = { precision: 3 } as const;
const optionalTime = { precision: 3, nullable: true } as const;
const optionalName = { nullable: true, collation: 'C' } as const;

/**
 * The row that every append updates: ids, owner, state, counters, activity. `archived_at` and `deleted_at` lie over
 * the `state` below them, so restoring is taking them away.
 */
@Entity('sessions')
@Check('sessions_state', `state in ('active', 'paused', 'completed', 'crashed')`)
@Index('sessions_user_activity', ['user_id', 'last_activity_at', 'key'])
@Index('sessions_agent_activity', ['agent_id', 'last_activity_at', 'key'], { where: 'agent_id IS NOT NULL' })
@Index('sessions_activity', ['last_activity_at', 'key'])
@Index('sessions_expires', ['expires_at'], {
  where: 'expires_at IS NOT NULL AND deleted_at IS NULL AND purged_at IS NULL AND NOT legal_hold',
})
@Index('sessions_overdue', ['overdue_at'], {
  where: 'overdue_at IS NOT NULL AND deleted_at IS NULL AND purged_at IS NULL',
})
@Index('sessions_busy', ['busy_job'], { where: 'busy_job IS NOT NULL' })
@Index('sessions_purged', ['key'], { where: 'purged_at IS NOT NULL' })
export class Session {
  /** never reused; every other table refers to it */
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'sessions_pkey',
  })
  key!: number;

  @Index('sessions_id', { unique: true })
  @Column({ type: 'text', collation: 'C' })
  id!: string;

  @Column({ type: 'text', ...optionalName })
  user_id!: string | null;

  @Column({ type: 'text', ...optionalName })
  agent_id!: string | null;

  @Column({ type: 'text', ...optionalName })
  client_id!: string | null;

  @Column('text')
  session_type!: string;

  @Column('text')
  runtime_backend!: string;

  @Column('text')
  state!: 'active' | 'paused' | 'completed' | 'crashed';

  /** when the `state` became `completed`; null in every other */
  @Column({ type: 'timestamptz', ...optionalTime })
  completed_at!: Date | null;

  @Column({ type: 'timestamptz', ...optionalTime })
  archived_at!: Date | null;

  @Column({ type: 'timestamptz', ...optionalTime })
  deleted_at!: Date | null;

  @Column({ type: 'text', nullable: true })
  deleted_reason!: string | null;

  /** deleted for good: gone for every reader, its rows are being removed; in the future: it is being made, and nobody sees it yet */
  @Column({ type: 'timestamptz', ...optionalTime })
  purged_at!: Date | null;

  /** the job that reads it: until that ends nothing of it changes */
  @Column('uuid', { nullable: true })
  busy_job!: string | null;

  @Column('boolean')
  legal_hold!: boolean;

  @Column('integer')
  version!: number;

  /** counts the changes of its members and of its owner */
  @Column({ type: 'integer', default: 0 })
  sharing!: number;

  /** also the seq of the last message */
  @Column('bigint')
  message_count!: number;

  @Column('bigint')
  total_tokens!: number;

  @Column({ type: 'numeric', precision: 20, scale: 10 })
  total_cost!: number;

  /** what of the three comes from other sessions (messages with an `origin`): it counts there, so not in the totals */
  @Column({ type: 'bigint', default: 0 })
  copied_messages!: number;

  @Column({ type: 'bigint', default: 0 })
  copied_tokens!: number;

  @Column({ type: 'numeric', precision: 20, scale: 10, default: 0 })
  copied_cost!: number;

  /** seq of the newest message with tool calls: an append that answers calls checks that none came between */
  @Column('bigint')
  last_call_seq!: number;

  /** seq of the message the title was made from; 0: it was given; null: none yet */
  @Column({ type: 'bigint', nullable: true })
  title_seq!: number | null;

  @Column('bigint')
  event_seq!: number;

  @Column('bigint')
  event_tx!: number;

  @Column({ type: 'integer', nullable: true })
  timeout_minutes!: number | null;

  /** null where nothing expires: no time-out, or neither active nor paused */
  @Column({ type: 'timestamptz', ...optionalTime })
  expires_at!: Date | null;

  @Column({ type: 'integer', nullable: true })
  heartbeat_timeout_seconds!: number | null;

  @Column('boolean')
  auto_recover!: boolean;

  /** when silence makes it a crash; null but for active sessions with a heartbeat time-out */
  @Column({ type: 'timestamptz', ...optionalTime })
  overdue_at!: Date | null;

  /** how often it recovered by itself since its last heartbeat */
  @Column({ type: 'integer', default: 0 })
  recoveries!: number;

  @Column({ type: 'timestamptz', ...time })
  created_at!: Date;

  @Column({ type: 'timestamptz', ...time })
  last_activity_at!: Date;

  @Column({ type: 'timestamptz', ...optionalTime })
  last_message_at!: Date | null;
}

/** What is edited and searched, not appended to. `user_id` repeats the owner for the indexes that sort. */
@Entity('session_details')
@Index('session_details_user_created', ['user_id', 'created_at', 'key'])
@Index('session_details_user_updated', ['user_id', 'updated_at', 'key'])
@Index('session_details_user_title', ['user_id', 'title', 'key'])
@Index('session_details_tags', ['tags'], { type: 'gin' })
@Index('session_details_metadata', ['metadata'], { type: 'gin' })
@Index('session_details_wants_collection', ['key'], { where: 'wants_collection' })
export class SessionDetails {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'session_details_pkey' })
  key!: number;

  @Column({ type: 'text', ...optionalName })
  user_id!: string | null;

  /** empty: none */
  @Column({ type: 'text', collation: 'C' })
  title!: string;

  @Column({ type: 'text', nullable: true })
  description!: string | null;

  @Column({ type: 'text', array: true })
  tags!: string[];

  @Column('jsonb')
  metadata!: JsonObject;

  @Column('json')
  context!: JsonObject;

  @Column('json')
  configuration!: JsonObject;

  @Column('json')
  conversation_data!: JsonObject;

  @Column({ type: 'json', nullable: true })
  checkpoint!: JsonObject | null;

  /** number of the last checkpoint; 0: none yet */
  @Column({ type: 'bigint', default: 0 })
  checkpoint_n!: number;

  @Column('json')
  runtime_metadata!: JsonObject;

  @Column('text')
  session_summary!: string;

  @Column({ type: 'json', nullable: true })
  lineage!: JsonObject | null;

  /** its vector collection, as it is told; null: there is none */
  @Column({ type: 'json', nullable: true })
  collection!: SessionCollection | null;

  /** a collection is to be made for it */
  @Column({ type: 'boolean', default: false })
  wants_collection!: boolean;

  @Column({ type: 'timestamptz', ...time })
  created_at!: Date;

  @Column({ type: 'timestamptz', ...time })
  updated_at!: Date;
}
