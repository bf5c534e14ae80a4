import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { invalid } from '../common/errors.js';

/** The `Idempotency-Key` header, as a parameter of a route; null when there is none. */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext): string | null => {
  const header = context.switchToHttp().getRequest<FastifyRequest>().headers['idempotency-key'];
  if (header === undefined) return null;
  if (typeof header !== 'string' || !/^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(header)) {
    throw invalid([{ pointer: 'Idempotency-Key', detail: 'must be 1 to 255 printable ASCII characters' }]);
  }
  return header;
});

/** Sets what an answer that may be a replay carries; answers its body. */
export function replyOnce<T>(
  reply: FastifyReply,
  answer: { status: number; value: T; replayed: boolean },
): T {
  reply.status(answer.status);
  if (answer.replayed) reply.header('idempotency-replayed', 'true');
  return answer.value;
}
