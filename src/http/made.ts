import type { FastifyReply } from 'fastify';
import { tagged } from './etag.js';
import { replyOnce } from './idempotency-key.js';

/** Answers a session that this request, or the one it repeats, made or found: where it is, and its version. */
export function made<Row extends { id: string; version: number }>(
  reply: FastifyReply,
  answer: { status: number; value: Row; replayed: boolean },
): Row {
  if (answer.status === 201) reply.header('location', `/api/v1/sessions/${answer.value.id}`);
  return tagged(reply, replyOnce(reply, answer));
}
