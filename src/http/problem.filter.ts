import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../common/errors.js';
import { sendProblem } from './problem.js';

/** Every error of every route, and of the server before it, leaves here as a problem. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const refusal = error instanceof DomainError ? error : ofFramework(error);
    if (!refusal) request.log.error({ err: error }, 'request failed');
    else if (refusal.kind === 'unavailable')
      request.log.warn({ err: refusal.cause ?? refusal }, 'dependency down');
    if (!reply.sent) sendProblem(request, reply, refusal);
  }
}

/** What Fastify and Nest refuse by themselves, in our words; null: a fault of ours. */
export function ofFramework(error: unknown): DomainError | null {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  const status = error instanceof HttpException ? error.getStatus() : (statusCode ?? 500);
  if (status === 404) return new DomainError('not-found', 'route_not_found', 'No such route.');
  if (status === 413)
    return new DomainError('too-large', 'body_too_large', 'The body is larger than BODY_LIMIT_MB.');
  if (status === 415) {
    return new DomainError(
      'unsupported-media',
      'unsupported_media_type',
      'Send the body as application/json.',
    );
  }
  if (status === 503)
    return new DomainError('unavailable', 'shutting_down', 'The service is stopping.', { retryAfter: 1 });
  if (status >= 400 && status < 500) {
    return new DomainError(
      'malformed',
      'malformed_request',
      code ? `The request cannot be read (${code}).` : 'The request cannot be read.',
    );
  }
  return null;
}
