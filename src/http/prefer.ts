import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

const MOST_SECONDS = 60;

/** Seconds of `Prefer: wait=n` (RFC 7240), as a parameter of a route; 0: none. What cannot be read is no preference. */
export const PreferWait = createParamDecorator((_: unknown, context: ExecutionContext): number => {
  const header = context.switchToHttp().getRequest<FastifyRequest>().headers.prefer;
  const [, seconds] = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(String(header ?? '')) ?? [];
  return Math.min(Number(seconds ?? 0), MOST_SECONDS);
});
