import { Body, Controller, Get, Param, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { cutPage, encodeCursor, isPair, type Within } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { exactly } from '../http/exact-json.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import {
  type ModelUsageQuery,
  modelUsagePage,
  modelUsageQuery,
  modelUsageView,
  type ReportUsage,
  reportUsageBody,
  toReport,
  toUsage,
} from './model-usage.schemas.js';
import { ModelUsageService } from './model-usage.service.js';
import {
  type AddStats,
  addStatsBody,
  countedView,
  sessionStatsView,
  toCounted,
  toSessionStats,
} from './session-stats.schemas.js';
import { SessionStatsService } from './session-stats.service.js';

const DEFAULT_LIMIT = 50;

@ApiTags('Statistics')
@Controller('sessions/:session_id')
export class SessionStatsController {
  constructor(
    private readonly stats: SessionStatsService,
    private readonly usage: ModelUsageService,
  ) {}

  @Put('stats')
  @Operation({
    id: 'addSessionStats',
    summary: 'Add to the counters of a session',
    description:
      'Integers, negative ones too; up to 200 names of letters, digits and `_`, in `counters` or at top level. Metadata is merged into (RFC 7396).',
    scope: 'stats:write',
    permission: 'work',
    answers: { 200: countedView },
    refusals: { 409: ['stats_full'] },
    body: { required: true, example: { counters: { urls_processed: 5 }, metadata: { crawler: 'v2' } } },
    idempotent: true,
  })
  async add(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: addStatsBody }) body: AddStats,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toCounted({ ...replyOnce(reply, await this.stats.add(id, body, caller, key)), id });
  }

  @Get('stats')
  @Operation({
    id: 'getSessionStats',
    summary: 'What a session comes to: counters, messages, tokens and cost, models, time',
    description:
      'Messages that were copied into the session count here too; statistics over several sessions count a message where it was said.',
    scope: 'stats:read',
    permission: 'read',
    answers: { 200: sessionStatsView },
  })
  async get(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return exactly(reply, toSessionStats(await this.stats.of(id, caller)));
  }

  @Put('model-usage')
  @Operation({
    id: 'reportModelUsage',
    summary: 'Report that a model was used',
    scope: 'stats:write',
    permission: 'work',
    answers: { 200: modelUsageView },
    refusals: { 409: ['stats_full'] },
    body: {
      required: true,
      example: { model_type: 'llm', model_name: 'gpt-large', tokens: 570, cost_usd: 0.0031 },
    },
    idempotent: true,
  })
  async report(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: reportUsageBody }) body: ReportUsage,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const answer = await this.usage.report(id, body, caller, key);
    return exactly(reply, toUsage(replyOnce(reply, answer)));
  }

  @Get('model-usage')
  @Operation({
    id: 'getModelUsage',
    summary: 'Which models a session used, and for how much',
    scope: 'stats:read',
    permission: 'read',
    answers: { 200: modelUsagePage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async list(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: modelUsageQuery }) query: ModelUsageQuery,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const scope = ['model-usage', id];
    const page = pageRequest(query, DEFAULT_LIMIT, scope, isPair);
    if (!query.history) return exactly(reply, toUsage(await this.usage.of(id, caller)));
    const { session, usage, rows } = await this.usage.history(id, page, caller);
    const cut = cutPage(rows, page.limit, ({ n }) => encodeCursor(scope, [session, n] satisfies Within));
    return exactly(reply, { ...toUsage(usage), reports: cut.rows.map(toReport), ...pageView(page, cut) });
  }
}
