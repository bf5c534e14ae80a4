import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Counter, Histogram } from 'prom-client';
import { callerName } from '../common/caller.js';

const seconds = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Time from the request to the end of its answer.',
  labelNames: ['method', 'route', 'status'] as const,
  buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
});

const failures = new Counter({
  name: 'http_request_errors_total',
  help: 'Answers with a status of 500 or more.',
  labelNames: ['route'] as const,
});

/** One line and one measurement a request: route, status, time and caller; of the headers only who a gateway says it is; never a query or a body. */
export function logRequests(fastify: FastifyInstance, log: Logger): void {
  const isLogged = log.isLevelEnabled('info');
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const status = String(reply.statusCode);
    seconds.observe({ method: request.method, route, status }, reply.elapsedTime / 1000);
    if (reply.statusCode >= 500) failures.inc({ route });
    if (isLogged) request.log.info(line(request, route, reply.statusCode, reply.elapsedTime), 'request');
    done();
  });
}

const line = (request: FastifyRequest, route: string, status: number, milliseconds: number) => ({
  method: request.method,
  route,
  path: request.originalUrl.split('?', 1)[0],
  status,
  milliseconds: Math.round(milliseconds * 10) / 10,
  caller: request.caller && callerName(request.caller),
  email: request.headers['x-user-email'],
  roles: request.headers['x-user-roles'],
});
