import type { IncomingMessage, ServerResponse } from 'node:http';
import compress from '@fastify/compress';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { DomainError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import type { Config } from '../config/config.js';
import { Admission } from './admission.js';
import { drainConnections } from './connections.js';
import { NestLog } from './log.js';
import { ofFramework } from './problem.filter.js';
import { refuseConnection, sendProblem } from './problem.js';
import { logRequests } from './request-log.js';
import { streamBodies } from './streamed-body.js';

const PREFIX = '/api/v1';
/** A percent-encoded name of 255 characters of four bytes each. */
const MAX_PARAM_LENGTH = 255 * 12;
/** A connection on which nothing moves for so long is closed: whoever does not read holds his answer in memory. */
const STALLED_MS = 60_000;
/** Media types that shrink; a stream of events is not held back to be packed. */
const PACKED = /^text\/(?!event-stream)|[+/](?:x-nd)?json(?:;|$)/;
const EXPOSED = [
  ...['ETag', 'Location', 'Retry-After', 'X-Request-ID', 'Idempotency-Replayed'],
  ...['RateLimit', 'RateLimit-Policy', 'WWW-Authenticate'],
];

/** The HTTP server with everything that holds on every route; the rooms come with `rootModule`. */
export async function createServer(
  rootModule: DynamicModule,
  config: Config,
  log: Logger,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestId,
    rewriteUrl: withoutPrefix,
    connectionTimeout: STALLED_MS,
    bodyLimit: config.BODY_LIMIT_MB * 1024 * 1024,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(request, reply, ofFramework(error)),
    clientErrorHandler: refuseConnection,
    forceCloseConnections: false,
    return503OnClosing: false,
  });
  const app = await NestFactory.create<NestFastifyApplication>(rootModule, adapter, {
    bodyParser: false,
    logger: new NestLog(log),
    abortOnError: false,
  });
  const fastify: FastifyInstance = adapter.getInstance();
  drainConnections(fastify);
  acceptJsonOnly(fastify);
  setSharedHeaders(fastify);
  logRequests(fastify, log);
  if (config.ROLE === 'worker') serveProbesOnly(fastify);
  knowBeforeReading(fastify, app.get(Admission));
  streamBodies(fastify);
  await app.register(compress, {
    threshold: 1024,
    customTypes: PACKED,
    encodings: ['gzip', 'deflate', 'identity'],
    globalDecompression: false,
  });
  if (config.CORS_ORIGINS.length) app.enableCors(cors(config));
  return app;
}

/** The gateway's id if it is a sane one, else a new one. */
function requestId(request: { headers: IncomingMessage['headers'] }): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : newId();
}

/** Callers of the older systems know the routes without the prefix; inside there is only that form. */
function withoutPrefix(request: { url?: string }): string {
  const url = request.url ?? '/';
  return url.startsWith(`${PREFIX}/`) ? url.slice(PREFIX.length) : url;
}

/** Bodies stay bytes until the caller is known and the route parses them; other types are 415. */
function acceptJsonOnly(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  fastify.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      if (request.method === 'PATCH') done(null, body);
      else done(Object.assign(new Error('merge patch is for PATCH'), { statusCode: 415 }));
    },
  );
}

function setSharedHeaders(fastify: FastifyInstance): void {
  const shared = securityHeaders();
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    reply.headers(shared).header('x-request-id', request.id);
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    done();
  });
}

/** What helmet sets, asked for once: it is the same in every answer. */
function securityHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value;
    },
    removeHeader: () => undefined,
  };
  const set = helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } });
  set({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return headers;
}

/** A process that only works is looked at, and not asked for anything else. */
function serveProbesOnly(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    if (PROBES.has(request.routeOptions.url ?? '')) done();
    // the body of a request that is refused is not read
    else sendProblem(request, reply.header('connection', 'close'), ofFramework({ statusCode: 404 }));
  });
}

const PROBES = new Set(['/health', '/health/live', '/health/ready', '/metrics']);

/** Nobody makes the server read a body before it is known who he is, and what for: a refused one ends the connection. */
function knowBeforeReading(fastify: FastifyInstance, admission: Admission): void {
  fastify.addHook('preParsing', (request, reply, payload, done) => {
    if (BODILESS.has(request.method)) return done(null, payload);
    const refuse = (error: unknown) => {
      const refusal = error instanceof DomainError ? error : null;
      if (!refusal) request.log.error({ err: error }, 'request failed');
      sendProblem(request, reply.header('connection', 'close'), refusal);
    };
    if (request.is404) return refuse(ofFramework({ statusCode: 404 }));
    admission.admit(request, reply).then(() => done(null, payload), refuse);
  });
}

const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS']);

const cors = (config: Config) => ({
  origin: config.CORS_ORIGINS.includes('*') ? '*' : [...config.CORS_ORIGINS],
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  exposedHeaders: EXPOSED,
  maxAge: 600,
});
