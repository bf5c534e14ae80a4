import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { DomainError, type ErrorKind } from '../common/errors.js';

/** The one table from a refusal's kind to HTTP. */
export const STATUS: Record<ErrorKind, number> = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  precondition: 412,
  'too-large': 413,
  'unsupported-media': 415,
  invalid: 422,
  unavailable: 503,
};

const TITLES: Record<number, string> = {
  400: 'Malformed request',
  401: 'Who are you?',
  403: 'Not allowed',
  404: 'Not found',
  409: 'Conflict with the present state',
  412: 'Changed meanwhile',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Invalid input',
  500: 'Internal error',
  503: 'Not available',
};

/** RFC 9457 problem details: the body of every refusal. */
export const problemSchema = z
  .looseObject({
    type: z
      .string()
      .meta({ description: 'stable per code', example: 'urn:session-service:problem:session_not_found' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().meta({ description: 'path of the request' }),
    code: z.string().meta({ description: 'stable, for programs', example: 'session_not_found' }),
    request_id: z.string(),
    errors: z
      .array(
        z.strictObject({
          pointer: z.string().meta({
            description:
              'JSON Pointer into the body; `?name` for a query parameter, `:name` for a path parameter, or the name of a header',
          }),
          detail: z.string(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem' });

/** Sends a refusal as `application/problem+json`. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: DomainError | null): void {
  const status = error ? STATUS[error.kind] : 500;
  if (error?.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  const body = {
    ...error?.extra,
    type: `urn:session-service:problem:${error?.code ?? 'internal'}`,
    title: TITLES[status],
    status,
    detail: error?.message ?? 'Something broke here; the log has the rest under this request_id.',
    instance: request.originalUrl.split('?', 1)[0],
    code: error?.code ?? 'internal',
    request_id: request.id,
    errors: error?.errors,
  };
  reply
    .status(status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .serializer((payload: unknown) => payload as string)
    .send(JSON.stringify(body));
}
