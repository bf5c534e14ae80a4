import { Body, Controller, Delete, Get, Param, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { toCollectionView } from './collection.view.js';
import { collectionView, type PutCollection, putCollectionBody, STORE_DOWN } from './collections.schemas.js';
import { CollectionsService } from './collections.service.js';

@ApiTags('Collections')
@Controller('sessions/:session_id/collection')
export class CollectionsController {
  constructor(private readonly collections: CollectionsService) {}

  @Put()
  @Operation({
    id: 'putCollection',
    summary: 'Give the session a vector collection',
    description:
      'The same again changes nothing but adds indexes. While the vector store is down the collection is `pending`, and made as soon as it is back.',
    scope: 'collections:write',
    permission: 'manage',
    answers: { 200: collectionView, 201: collectionView },
    refusals: {
      404: ['no_collection'],
      409: ['shape_mismatch'],
      422: ['invalid_point'],
      503: STORE_DOWN,
    },
    body: { required: true, example: { vectors: { size: 384, distance: 'cosine' } } },
  })
  async put(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: putCollectionBody }) body: PutCollection,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const put = await this.collections.put(id, body, caller);
    reply.status(put.isNew ? 201 : 200);
    return toCollectionView(put);
  }

  @Get()
  @Operation({
    id: 'getCollection',
    summary: 'Get what an ingestion service needs to know of the collection',
    scope: 'collections:read',
    permission: 'read',
    answers: { 200: collectionView },
    refusals: { 404: ['no_collection'] },
  })
  async get(@Param('session_id', { schema: sessionId }) id: string, @CurrentCaller() caller: Caller) {
    return toCollectionView(await this.collections.get(id, caller));
  }

  @Delete()
  @Operation({
    id: 'deleteCollection',
    summary: 'Delete the collection with all its points',
    scope: 'collections:write',
    permission: 'manage',
    answers: { 204: null },
    refusals: { 404: ['no_collection'], 409: ['legal_hold'] },
  })
  async delete(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
  ): Promise<void> {
    await this.collections.delete(id, caller);
  }
}
