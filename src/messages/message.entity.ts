import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Json, JsonObject } from '../common/json.js';

export const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const;
export const MESSAGE_TYPES = ['chat', 'system', 'tool_call', 'tool_result', 'notification'] as const;

/** One entry of a session's history. JSON is kept as it came (`json`, not `jsonb`): models see the same bytes again. */
@Entity('messages')
@Index('messages_id', ['session_key', 'message_id'], { unique: true })
@Index('messages_pinned', ['session_key', 'seq'], { where: "role IN ('system', 'developer')" })
@Index('messages_redacted', ['session_key', 'seq'], { where: 'redacted_at IS NOT NULL' })
// by expressions, which TypeORM cannot tell: the session_id and message_id of origin, collate "C", where it is not null
@Index('messages_origin', { synchronize: false })
@Index('messages_answer', ['session_key', 'tool_call_seq', 'tool_call_id'], {
  unique: true,
  where: 'tool_call_seq IS NOT NULL',
})
export class Message {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'messages_pkey' })
  session_key!: number;

  /** from 1, without gaps */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'messages_pkey' })
  seq!: number;

  @Column({ type: 'text', collation: 'C' })
  message_id!: string;

  /** digest of the request whose `Idempotency-Key` made the id: the same key with another body is told by it */
  @Column({ type: 'uuid', nullable: true })
  request_digest!: string | null;

  @Column({ type: 'text', nullable: true, collation: 'C' })
  user_id!: string | null;

  @Column('text')
  role!: (typeof ROLES)[number];

  @Column({ type: 'json', nullable: true })
  content!: Json;

  @Column('text')
  message_type!: (typeof MESSAGE_TYPES)[number];

  @Column({ type: 'json', nullable: true })
  tool_calls!: JsonObject[] | null;

  @Column({ type: 'text', nullable: true, collation: 'C' })
  tool_call_id!: string | null;

  /** seq of the message whose call this one answers */
  @Column({ type: 'bigint', nullable: true })
  tool_call_seq!: number | null;

  @Column({ type: 'text', nullable: true })
  name!: string | null;

  @Column({ type: 'text', nullable: true })
  model!: string | null;

  @Column({ type: 'integer', nullable: true })
  tokens_used!: number | null;

  @Column({ type: 'numeric', precision: 20, scale: 10, nullable: true })
  cost_usd!: number | null;

  @Column({ type: 'integer', nullable: true })
  token_count!: number | null;

  @Column('json')
  metadata!: JsonObject;

  @Column({ type: 'json', nullable: true })
  origin!: JsonObject | null;

  /** of content, calls and metadata as JSON: pages are cut by it */
  @Column('integer')
  bytes!: number;

  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  redacted_at!: Date | null;
}

/** A message as it is answered. */
export type StoredMessage = Omit<Message, 'session_key' | 'request_digest' | 'bytes'>;

/** A call made by an assistant's message: found by its id when it is answered. */
@Entity('tool_calls')
export class ToolCall {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'tool_calls_pkey' })
  session_key!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'tool_calls_pkey', collation: 'C' })
  call_id!: string;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'tool_calls_pkey' })
  seq!: number;
}
