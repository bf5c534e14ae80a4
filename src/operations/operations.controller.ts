import { Controller, Get, Header, Inject, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { register } from 'prom-client';
import { z } from 'zod';
import { CONFIG, type Config } from '../config/config.js';
import { Operation } from '../http/operation.js';
import { HealthService } from './health.service.js';
import { OpenApiDocument } from './openapi-document.js';

const dependency = z.strictObject({ status: z.enum(['up', 'down']), latency_ms: z.number() });
const models = dependency.extend({
  reason: z.string().optional().meta({ description: 'why it is down', example: 'it refuses the key (401)' }),
});

const healthView = z
  .strictObject({
    status: z.enum(['ok', 'degraded']),
    service: z.string(),
    environment: z.string(),
    version: z.string(),
    uptime_seconds: z.number(),
    dependencies: z.strictObject({
      postgres: dependency,
      redis: dependency.optional().meta({ description: 'where REDIS_URL is set' }),
      qdrant: dependency.optional().meta({ description: 'where QDRANT_URL is set' }),
      embedder: models
        .optional()
        .meta({ description: 'where EMBEDDINGS_URL is set; as it was at most 15 s ago' }),
      summarizer: models
        .optional()
        .meta({ description: 'where SUMMARIZER_URL is set; as it was at most 15 s ago' }),
    }),
  })
  .meta({
    id: 'Health',
    example: {
      status: 'ok',
      service: 'session-service',
      environment: 'development',
      version: '0.1.0',
      uptime_seconds: 12.5,
      dependencies: { postgres: { status: 'up', latency_ms: 0.8 } },
    },
  });

const aliveView = z
  .strictObject({ status: z.literal('ok') })
  .meta({ id: 'Alive', example: { status: 'ok' } });
const documentView = z
  .looseObject({ openapi: z.string() })
  .meta({ id: 'OpenApiDocument', example: { openapi: '3.1.0' } });

@ApiTags('Operations')
@Controller()
export class OperationsController {
  constructor(
    private readonly health: HealthService,
    private readonly document: OpenApiDocument,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('health')
  @Operation({
    id: 'getHealth',
    summary: 'State and latency of all dependencies; 503 when PostgreSQL is down',
    description:
      '`degraded` with 200: Redis is down, so that jobs start some seconds later; or Qdrant, so that vectors are out of reach; or a server of models, so that search is by words, or summaries are sentences of the messages.',
    scope: null,
    answers: { 200: healthView, 503: healthView },
  })
  async all(@Res({ passthrough: true }) reply: FastifyReply) {
    return orUnavailable(await this.health.check(), reply);
  }

  @Get('health/live')
  @Operation({ id: 'getLiveness', summary: 'The process runs', scope: null, answers: { 200: aliveView } })
  live() {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @Operation({
    id: 'getReadiness',
    summary: 'It can serve: what it cannot do without is up',
    description: 'The same without servers of models.',
    scope: null,
    answers: { 200: healthView, 503: healthView },
  })
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    return orUnavailable(await this.health.checkOwn(), reply);
  }

  @Get('metrics')
  @Header('content-type', register.contentType)
  @Operation({
    id: 'getMetrics',
    summary: 'Metrics in the Prometheus text format',
    description: 'Not here when METRICS_PORT gives them a port of their own.',
    scope: null,
    answers: { 200: z.string() },
    refusals: { 404: ['route_not_found'] },
    mediaType: 'text/plain',
    example: '# TYPE process_cpu_user_seconds_total counter\nprocess_cpu_user_seconds_total 0.52\n',
  })
  metrics(@Res({ passthrough: true }) reply: FastifyReply) {
    if (this.config.METRICS_PORT === undefined) return register.metrics();
    return reply.callNotFound();
  }

  @Get('openapi.json')
  @Operation({ id: 'getOpenApi', summary: 'This document', scope: null, answers: { 200: documentView } })
  openApi() {
    return this.document.value;
  }
}

function orUnavailable<Health extends { dependencies: { postgres: { status: string } } }>(
  health: Health,
  reply: FastifyReply,
): Health {
  if (health.dependencies.postgres.status === 'down') reply.status(503).header('retry-after', '1');
  return health;
}
