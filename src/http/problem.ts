import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { DomainError, type ErrorKind } from '../common/errors.js';
import { newId } from '../common/ids.js';

/** The one table from a refusal's kind to HTTP. */
const STATUS: Record<ErrorKind, number> = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  gone: 410,
  precondition: 412,
  'too-large': 413,
  'unsupported-media': 415,
  invalid: 422,
  'too-many': 429,
  'not-configured': 501,
  unavailable: 503,
};

const TITLES: Record<number, string> = {
  400: 'Malformed request',
  401: 'Who are you?',
  403: 'Not allowed',
  404: 'Not found',
  408: 'Too slow',
  409: 'Conflict with the present state',
  410: 'No longer there',
  412: 'Changed meanwhile',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Invalid input',
  429: 'Too many requests',
  431: 'Headers too large',
  500: 'Internal error',
  501: 'Not configured here',
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

/** What a request may have set before it was refused. */
const OF_SUCCESS = ['etag', 'location', 'idempotency-replayed'];

/** Sends a refusal as `application/problem+json`. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: DomainError | null): void {
  const status = error ? STATUS[error.kind] : 500;
  if (error?.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter));
  for (const name of OF_SUCCESS) reply.removeHeader(name);
  if (status === 401) reply.header('www-authenticate', challenge(error!));
  const body = problem(status, error, request.originalUrl.split('?', 1)[0]!, request.id);
  reply
    .status(status)
    .header('content-type', MEDIA_TYPE)
    .header('cache-control', 'no-store')
    // what the router refuses has passed no hook
    .header('x-request-id', request.id)
    .serializer((payload: unknown) => payload as string)
    .send(JSON.stringify(body));
}

/** RFC 6750: whoever sent a token learns that it was the token. */
const challenge = ({ code }: DomainError) =>
  TOKEN_FAULTS.has(code) ? 'Bearer error="invalid_token"' : 'Bearer';
const TOKEN_FAULTS = new Set(['invalid_token', 'token_expired']);

/** What Node's parser refuses before there is a request: broken HTTP, headers too large or too slow. */
export function refuseConnection(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, code, detail] = CONNECTION_FAULTS[error.code] ?? [
    400,
    'malformed_request',
    'This is no HTTP.',
  ];
  const id = newId();
  const body = JSON.stringify(problem(status, new DomainError('malformed', code, detail), '', id));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: ${MEDIA_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nX-Request-ID: ${id}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const MEDIA_TYPE = 'application/problem+json; charset=utf-8';

const CONNECTION_FAULTS: Record<string, [status: number, code: string, detail: string]> = {
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large', 'The headers are larger than 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout', 'The request took too long to arrive.'],
};

const problem = (status: number, error: DomainError | null, instance: string, requestId: string) => ({
  ...error?.extra,
  type: `urn:session-service:problem:${error?.code ?? 'internal'}`,
  title: TITLES[status],
  status,
  detail: error?.message ?? 'Something broke here; the log has the rest under this request_id.',
  instance,
  code: error?.code ?? 'internal',
  request_id: requestId,
  errors: error?.errors,
});
