import { z } from 'zod';
import { checkSize } from '../common/json.js';
import { chosenId, exactTime, pastTime, printableName } from '../http/schemas.js';
import type { StoredMessage } from './message.entity.js';
import { CONTENT_KIB, checkRole, METADATA_KIB, messageFields } from './messages.schemas.js';

const seq = z.int().min(1);
const name = z.string().min(1).max(255);

const members = z
  .strictObject({
    ...messageFields,
    type: z.literal('message'),
    seq,
    message_id: chosenId,
    user_id: printableName.nullable(),
    tool_call_seq: seq.nullable(),
    token_count: z.int().min(0).max(2_147_483_647).nullable(),
    origin: z.strictObject({ session_id: name, message_id: name, seq }).nullable(),
    created_at: pastTime,
    redacted_at: exactTime.nullable(),
  })
  .required();
export type MessageRecord = z.output<typeof members>;

/** A message as an export carries it: what a reader sees, every member there. */
export const messageRecord = members.superRefine((message, ctx) => {
  if (message.redacted_at === null) checkRole(message, ctx);
  else checkRedacted(message, ctx);
  checkAnswer(message, ctx);
});

/** Of a redacted message nothing is left that it said. */
function checkRedacted(message: MessageRecord, ctx: z.RefinementCtx): void {
  const { content, name, tool_calls, metadata } = message;
  const isBare = (tool_calls ?? []).every((call) => Object.keys(call).length === 1);
  if (content !== null || name !== null || !isBare || Object.keys(metadata).length > 0)
    ctx.addIssue({ code: 'custom', path: ['redacted_at'], message: 'a redacted message says nothing' });
  checkRole({ ...message, content: '' }, ctx);
}

function checkAnswer({ tool_call_id, tool_call_seq, seq }: MessageRecord, ctx: z.RefinementCtx): void {
  const isRight = tool_call_id === null ? tool_call_seq === null : (tool_call_seq ?? seq) < seq;
  if (!isRight)
    ctx.addIssue({ code: 'custom', path: ['tool_call_seq'], message: 'names no earlier message' });
}

/** Bytes of what a message says. @throws DomainError `too_large` */
export const sizeOf = ({ content, tool_calls, metadata }: MessageRecord): number =>
  checkSize('/content', content, CONTENT_KIB) +
  checkSize('/tool_calls', tool_calls, CONTENT_KIB) +
  checkSize('/metadata', metadata, METADATA_KIB);

export const toRecord = (row: StoredMessage) => ({
  type: 'message',
  seq: row.seq,
  message_id: row.message_id,
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
