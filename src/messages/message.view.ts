import { z } from 'zod';
import { olderMessageFields, withOlderMessageNames } from '../http/older-names.js';
import { offsetFields } from '../http/paging.js';
import { timestamp } from '../http/schemas.js';
import { sessionFields } from '../sessions/session.view.js';
import { MESSAGE_TYPES, type Message, ROLES, type StoredMessage } from './message.entity.js';

/** A message by the key of its session. */
export interface MessageRef {
  session: number;
  seq: number;
}

export const messageRole = z.enum(ROLES);

/** A message without what it says. */
export type Outline = Pick<
  Message,
  'seq' | 'role' | 'bytes' | 'token_count' | 'tool_call_seq' | 'tool_call_id'
> & {
  /** ids of the calls it makes */
  calls: string[];
  is_redacted: boolean;
};

export type FoundMessage = StoredMessage & { session_key: number };

const shape = {
  message_id: z.string(),
  session_id: z.string(),
  seq: z.int().min(1).meta({ description: 'without gaps in its session' }),
  user_id: z.string().nullable(),
  role: messageRole,
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).nullable(),
  message_type: z.enum(MESSAGE_TYPES),
  tool_calls: z.array(z.looseObject({ id: z.string() })).nullable(),
  tool_call_id: z.string().nullable(),
  tool_call_seq: z.int().nullable().meta({ description: 'seq of the message whose call this one answers' }),
  name: z.string().nullable(),
  model: z.string().nullable(),
  tokens_used: z.int().nullable(),
  cost_usd: z.number().nullable(),
  token_count: z.int().nullable().meta({ description: 'size in a context window; null until counted' }),
  metadata: z.record(z.string(), z.unknown()),
  origin: z.record(z.string(), z.unknown()).nullable(),
  created_at: timestamp,
  redacted_at: timestamp.nullable().meta({ description: 'when its content was taken away' }),
};

const EXAMPLE = {
  message_id: 'msg-1',
  session_id: 'support-4711',
  seq: 1,
  user_id: 'alice',
  role: 'user',
  content: 'Why does my invoice show two items?',
  message_type: 'chat',
  tool_calls: null,
  tool_call_id: null,
  tool_call_seq: null,
  name: null,
  model: null,
  tokens_used: null,
  cost_usd: null,
  token_count: null,
  metadata: {},
  origin: null,
  created_at: '2026-01-31T12:00:00.250Z',
  redacted_at: null,
};

export const messageView = z
  .strictObject({ ...shape, ...olderMessageFields(shape) })
  .meta({ id: 'Message', example: withOlderMessageNames(EXAMPLE) });

export const redactedView = z
  .strictObject({
    ...shape,
    ...olderMessageFields(shape),
    copies: z.int().min(0).meta({ description: 'in other sessions, made of this message and not redacted' }),
  })
  .meta({ id: 'RedactedMessage' });

const batchView = z
  .strictObject({ messages: z.array(messageView), message_count: z.int() })
  .meta({ id: 'AppendedMessages' });
export const appendedView = z.union([messageView, batchView]);

export const messagesPage = z
  .strictObject({
    messages: z.array(messageView),
    ...offsetFields,
    total: z.int().meta({ description: 'messages of the session; with `include_total` those that match' }),
    page: z.int(),
    page_size: z.int(),
  })
  .meta({ id: 'MessagesPage' });

export const sessionWithMessages = z
  .strictObject({
    ...sessionFields,
    messages: z.array(messageView).optional().meta({ description: 'with `include=messages`' }),
  })
  .meta({ id: 'SessionWithMessages' });

/** A message as the API shows it. */
export function toView(row: StoredMessage, sessionId: string) {
  return withOlderMessageNames({
    message_id: row.message_id,
    session_id: sessionId,
    seq: row.seq,
    user_id: row.user_id,
    role: row.role,
    content: row.content,
    message_type: row.message_type,
    tool_calls: row.tool_calls,
    tool_call_id: row.tool_call_id,
    tool_call_seq: row.tool_call_seq,
    name: row.name,
    model: row.model,
    tokens_used: row.tokens_used,
    cost_usd: row.cost_usd,
    token_count: row.token_count,
    metadata: row.metadata,
    origin: row.origin,
    created_at: row.created_at.toISOString(),
    redacted_at: row.redacted_at?.toISOString() ?? null,
  });
}
