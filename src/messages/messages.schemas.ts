import { z } from 'zod';
import { olderMessageFields, withOlderMessageNames } from '../http/older-names.js';
import { offsetFields } from '../http/paging.js';
import {
  anyId,
  chosenId,
  flag,
  integer,
  jsonObject,
  objectsNaming,
  offsetQuery,
  printableName,
  timestamp,
  withReadOnly,
} from '../http/schemas.js';
import { sessionFields } from '../sessions/session.view.js';
import { MESSAGE_TYPES, ROLES, type StoredMessage } from './message.entity.js';

export const CONTENT_KIB = 1024;
export const METADATA_KIB = 64;
const MAX_BATCH = 1000;
const MAX_CALLS = 256;
const MAX_PARTS = 1000;

const callId = z.string().min(1).max(255);

const toolCalls = objectsNaming('id', 255, MAX_CALLS).meta({
  description: 'as the model made them',
  example: [{ id: 'call_1', type: 'function', function: { name: 'find_invoice', arguments: '{"id":4711}' } }],
});

const parts = objectsNaming('type', 100, MAX_PARTS);

/** US dollars; more than ten decimals could not be kept exactly. */
const money = z
  .number()
  .min(0)
  .max(1e9)
  .refine((value) => decimals(value) <= 10, 'must have at most 10 decimals')
  .meta({ description: 'US dollars, at most 10 decimals', example: 0.00031 });

function decimals(value: number): number {
  const [, fraction = '', exponent = '0'] = /^\d+(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(value)) ?? [];
  return Math.max(0, fraction.length - Number(exponent));
}

const fields = {
  message_id: chosenId.optional(),
  user_id: printableName
    .optional()
    .meta({ description: 'for a service: whose message it is; default: the owner’s' }),
  role: z.enum(ROLES),
  content: z.union([z.string(), parts]).nullable().optional().meta({
    description: 'text, or typed parts; null or absent only beside `tool_calls`. At most 1 MiB, 1,000 parts',
  }),
  message_type: z.enum(MESSAGE_TYPES).default('chat'),
  tool_calls: toolCalls.nullable().optional(),
  tool_call_id: callId
    .nullable()
    .optional()
    .meta({ description: 'of a `tool` message: the call it answers' }),
  name: z.string().min(1).max(255).nullable().optional(),
  model: z.string().min(1).max(255).nullable().optional(),
  tokens_used: z.int().min(0).max(2_147_483_647).nullable().optional(),
  cost_usd: money.nullable().optional(),
  metadata: jsonObject(METADATA_KIB).optional(),
};

const expectedSeq = z
  .int()
  .min(0)
  .optional()
  .meta({ description: 'the last seq the writer saw; 409 `seq_moved` when another was first' });

const READ_ONLY = ['seq', 'session_id', 'tool_call_seq', 'token_count', 'origin', 'created_at', 'timestamp'];

type Fields = z.output<z.ZodObject<typeof fields>>;

/** What a role may carry. */
function checkRole(message: Fields, ctx: z.RefinementCtx): void {
  const fault = (path: string, text: string) => ctx.addIssue({ code: 'custom', path: [path], message: text });
  if (message.role === 'tool' && !message.tool_call_id)
    fault('tool_call_id', 'a tool message names the call it answers');
  if (message.role !== 'tool' && message.tool_call_id)
    fault('tool_call_id', 'only a tool message answers a call');
  if (message.tool_calls?.length === 0) fault('tool_calls', 'must have an item, or be left out');
  if (message.role !== 'assistant' && message.tool_calls)
    fault('tool_calls', 'only an assistant message makes calls');
  if ((message.content ?? null) === null && !message.tool_calls)
    fault('content', 'is required unless tool_calls are given');
  const ids = message.tool_calls?.map((call) => call.id) ?? [];
  if (new Set(ids).size < ids.length) fault('tool_calls', 'two calls have the same id');
}

function checkBatch(batch: { messages: Fields[] }, ctx: z.RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { message_id }] of batch.messages.entries()) {
    if (message_id === undefined) continue;
    if (seen.has(message_id)) {
      ctx.addIssue({
        code: 'custom',
        path: ['messages', index, 'message_id'],
        message: 'is in the batch twice',
      });
    }
    seen.add(message_id);
  }
}

const single = z
  .strictObject({ ...fields, expected_seq: expectedSeq })
  .superRefine(checkRole)
  .meta({ id: 'NewMessage' });
const batch = z
  .strictObject({
    messages: z
      .array(z.strictObject(fields).superRefine(checkRole).meta({ id: 'NewBatchMessage' }))
      .min(1)
      .max(MAX_BATCH),
    expected_seq: expectedSeq,
  })
  .superRefine(checkBatch)
  .meta({ id: 'NewMessages' });

/** One message, or a batch of them. */
export const appendBody = withReadOnly(z.union([batch, single]), READ_ONLY);
export type AppendBody = z.output<typeof appendBody>;
export type NewMessage = Fields;

export const messagesQuery = z.strictObject({
  order: z.enum(['asc', 'desc']).default('asc').describe('asc: oldest first'),
  after_seq: integer(0, Number.MAX_SAFE_INTEGER).optional(),
  before_seq: integer(0, Number.MAX_SAFE_INTEGER).optional(),
  role: z.enum(ROLES).optional(),
  message_type: z.enum(MESSAGE_TYPES).optional(),
  ...offsetQuery(100, 1000),
});
export type MessagesQuery = z.output<typeof messagesQuery>;

export const messageId = anyId;

export const getSessionQuery = z.strictObject({
  include: z.enum(['messages']).optional().describe('adds the newest 100 messages, oldest first'),
  include_deleted: flag.default(false),
});
export type GetSessionQuery = z.output<typeof getSessionQuery>;

const shape = {
  message_id: z.string(),
  session_id: z.string(),
  seq: z.int().min(1).meta({ description: 'without gaps in its session' }),
  user_id: z.string().nullable(),
  role: z.enum(ROLES),
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
};

export const messageView = z
  .strictObject({ ...shape, ...olderMessageFields(shape) })
  .meta({ id: 'Message', example: withOlderMessageNames(EXAMPLE) });

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
  });
}
