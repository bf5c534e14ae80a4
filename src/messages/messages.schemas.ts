import { z } from 'zod';
import {
  anyId,
  chosenId,
  flag,
  integer,
  jsonObject,
  objectsNaming,
  offsetQuery,
  printableName,
  withReadOnly,
} from '../http/schemas.js';
import { MESSAGE_TYPES, ROLES } from './message.entity.js';

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
export const money = z
  .number()
  .min(0)
  .max(1e9)
  .overwrite(withoutNoise)
  .refine((value) => decimals(value) <= 10, 'must have at most 10 decimals')
  .meta({ description: 'US dollars, at most 10 decimals', example: 0.00031 });

/** 3 × 0.1 is 0.30000000000000004 to a computer: what only its arithmetic adds is taken off. */
function withoutNoise(value: number): number {
  const rounded = Number(value.toFixed(10));
  return Math.abs(value - rounded) <= 4 * Number.EPSILON * Math.max(1, value) ? rounded : value;
}

function decimals(value: number): number {
  const [, fraction = '', exponent = '0'] = /^\d+(?:\.(\d+))?(?:e([+-]?\d+))?$/.exec(String(value)) ?? [];
  return Math.max(0, fraction.length - Number(exponent));
}

/** What a client says of a message. */
export const messageFields = {
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

const READ_ONLY = [
  ...['seq', 'session_id', 'tool_call_seq', 'token_count', 'origin'],
  ...['created_at', 'timestamp', 'redacted_at'],
];

type Fields = z.output<z.ZodObject<typeof messageFields>>;

type Said = Pick<Fields, 'role' | 'content' | 'tool_calls' | 'tool_call_id'>;

/** What a role may carry. */
export function checkRole(message: Said, ctx: z.RefinementCtx): void {
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
  .strictObject({ ...messageFields, expected_seq: expectedSeq })
  .superRefine(checkRole)
  .meta({ id: 'NewMessage' });
const batch = z
  .strictObject({
    messages: z
      .array(z.strictObject(messageFields).superRefine(checkRole).meta({ id: 'NewBatchMessage' }))
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

/** What is reported of a message; the rest of history is not rewritten. */
export const patchMessageBody = withReadOnly(
  z
    .strictObject({
      metadata: jsonObject(METADATA_KIB).optional(),
      tokens_used: messageFields.tokens_used,
      cost_usd: messageFields.cost_usd,
    })
    .meta({ id: 'MessageEdit' }),
  [...READ_ONLY, ...Object.keys(messageFields)],
);
export type PatchMessage = z.output<typeof patchMessageBody>;

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
