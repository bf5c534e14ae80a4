import { Body, Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { checkOwner, cutPage, encodeCursor, isPair, type Within } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import {
  type CheckpointsQuery,
  checkpointNumber,
  checkpointsPage,
  checkpointsQuery,
  checkpointView,
  type NewCheckpoint,
  newCheckpointBody,
  toView,
} from './checkpoints.schemas.js';
import { CheckpointsService } from './checkpoints.service.js';
import { sessionId } from './sessions.schemas.js';

const DEFAULT_LIMIT = 50;

@ApiTags('Checkpoints')
@Controller('sessions/:session_id/checkpoints')
export class CheckpointsController {
  constructor(private readonly checkpoints: CheckpointsService) {}

  @Post()
  @Operation({
    id: 'saveCheckpoint',
    summary: 'Save a state to resume from',
    description: 'The same as PATCH of `checkpoint`, with metadata. The newest 1,000 are kept.',
    scope: 'sessions:write',
    permission: 'work',
    answers: { 201: checkpointView },
    refusals: { 404: ['checkpoint_not_found'] },
    body: { required: true, example: { checkpoint: { step: 3, pending: ['run tests'] } } },
    idempotent: true,
  })
  async save(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: newCheckpointBody }) body: NewCheckpoint,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(replyOnce(reply, await this.checkpoints.save(id, body, caller, key)));
  }

  @Get()
  @Operation({
    id: 'listCheckpoints',
    summary: 'The saved states, newest first',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: checkpointsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async list(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: checkpointsQuery }) query: CheckpointsQuery,
    @CurrentCaller() caller: Caller,
  ) {
    const scope = ['checkpoints', id];
    const page = pageRequest(query, DEFAULT_LIMIT, scope, isPair);
    const { session, rows } = await this.checkpoints.page(id, page.after?.[1] ?? null, page.limit, caller);
    checkOwner(page.after, session);
    const cut = cutPage(rows, page.limit, ({ n }) => encodeCursor(scope, [session, n] satisfies Within));
    return { checkpoints: cut.rows.map(toView), ...pageView(page, cut) };
  }

  @Get(':n')
  @Operation({
    id: 'getCheckpoint',
    summary: 'Get one saved state',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: checkpointView },
    refusals: { 404: ['checkpoint_not_found'] },
  })
  async get(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('n', { schema: checkpointNumber }) n: number,
    @CurrentCaller() caller: Caller,
  ) {
    return toView(await this.checkpoints.get(id, n, caller));
  }
}
