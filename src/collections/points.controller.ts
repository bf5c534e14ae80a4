import { Body, Controller, Get, Param, Post, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { decodeCursor, encodeCursor } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation, type OperationSpec } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import type { PointId } from '../vectors/point-id.js';
import { STORE_DOWN } from './collections.schemas.js';
import {
  anyPointId,
  type DeletePoints,
  deletedView,
  deletePointsBody,
  hitsView,
  pointsPage,
  pointView,
  type QueryPoints,
  queryPointsBody,
  type ScrollPoints,
  scrollPointsBody,
  toHitView,
  toPoints,
  toPointView,
  type UpsertPoints,
  upsertedView,
  upsertPointsBody,
} from './points.schemas.js';
import { PointsService } from './points.service.js';

const READ = {
  scope: 'collections:read',
  permission: 'read',
} satisfies Partial<OperationSpec>;
const WRITE = {
  scope: 'collections:write',
  permission: 'work',
} satisfies Partial<OperationSpec>;

@ApiTags('Collections')
@Controller('sessions/:session_id/points')
export class PointsController {
  constructor(private readonly points: PointsService) {}

  @Put()
  @Operation({
    ...WRITE,
    id: 'putPoints',
    summary: 'Write points; those that are there are replaced whole',
    description:
      'Durable and found as soon as it is answered. Without a collection the session gets the one its `configuration.vectors` says.',
    answers: { 200: upsertedView },
    refusals: {
      409: ['no_collection', 'session_not_open'],
      413: ['vectors_too_large'],
      422: ['invalid_point'],
      503: STORE_DOWN,
    },
    body: {
      required: true,
      example: { points: [{ id: 7, vector: [0.12, -0.5, 0.33, 0.8], payload: { topic: 'billing' } }] },
    },
  })
  async upsert(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: upsertPointsBody }) body: UpsertPoints,
    @CurrentCaller() caller: Caller,
  ) {
    return { upserted: await this.points.upsert(id, toPoints(body), caller) };
  }

  @Post('query')
  @Operation({
    ...READ,
    id: 'queryPoints',
    summary: 'Find the points nearest to a vector',
    answers: { 200: hitsView },
    refusals: {
      404: ['no_collection'],
      413: ['too_large'],
      422: ['invalid_point'],
      503: STORE_DOWN,
    },
    body: {
      required: true,
      example: {
        vector: [0.1, -0.4, 0.3, 0.9],
        limit: 3,
        filter: { must: [{ key: 'topic', match: { value: 'billing' } }] },
      },
    },
  })
  async query(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: queryPointsBody }) body: QueryPoints,
    @CurrentCaller() caller: Caller,
  ) {
    const { score_threshold: scoreThreshold, with_payload: payload, with_vector: vectors, ...rest } = body;
    const hits = await this.points.query(id, { ...rest, scoreThreshold, payload, vectors }, caller);
    return { points: hits.map(toHitView) };
  }

  @Post('scroll')
  @Operation({
    ...READ,
    id: 'scrollPoints',
    summary: 'Read points page by page, in the order of their ids',
    description: 'Integers before UUIDs. A page with vectors may be shorter than asked for.',
    answers: { 200: pointsPage },
    refusals: {
      400: ['invalid_cursor'],
      404: ['no_collection'],
      503: STORE_DOWN,
    },
    body: { example: { limit: 100, with_vector: true } },
  })
  async scroll(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: scrollPointsBody }) body: ScrollPoints,
    @CurrentCaller() caller: Caller,
  ) {
    const { cursor, filter, limit, with_payload: payload, with_vector: vectors } = body;
    const scope = ['points', id, filter ?? null];
    const after = cursor === undefined ? undefined : decodeCursor(cursor, scope, isId);
    const { points, next } = await this.points.scan(id, { filter, limit, after, payload, vectors }, caller);
    const next_cursor = next === null ? null : encodeCursor(scope, next);
    return { points: points.map(toPointView), limit, next_cursor, has_more: next !== null };
  }

  @Post('delete')
  @Operation({
    ...WRITE,
    id: 'deletePoints',
    summary: 'Delete points by their ids, or by a filter',
    answers: { 200: deletedView },
    refusals: {
      404: ['no_collection'],
      409: ['session_not_open', 'legal_hold'],
      503: STORE_DOWN,
    },
    body: { required: true, example: { ids: [7] } },
    idempotent: true,
  })
  async delete(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: deletePointsBody }) body: DeletePoints,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return { deleted: replyOnce(reply, await this.points.delete(id, body, caller, key)) };
  }

  @Get(':point_id')
  @Operation({
    ...READ,
    id: 'getPoint',
    summary: 'Get a point with its vector',
    answers: { 200: pointView },
    refusals: { 404: ['no_collection', 'point_not_found'], 503: STORE_DOWN },
  })
  async get(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('point_id', { schema: anyPointId }) point: PointId | null,
    @CurrentCaller() caller: Caller,
  ) {
    return toPointView(await this.points.get(id, point, caller));
  }
}

const isId = (key: unknown): key is PointId => typeof key === 'string';
