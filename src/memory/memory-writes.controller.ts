import {
  Body,
  Controller,
  Delete,
  Headers,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Res,
  type Type,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { ifMatch, tagged } from '../http/etag.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import {
  type AddMemory,
  addMemoryBody,
  type ClearMemory,
  keyOrId,
  memoryKey,
  type PatchMemory,
  patchMemoryBody,
  type SaveMemory,
  saveMemoryBody,
} from './memory.schemas.js';
import { MemoryService } from './memory.service.js';
import { clearedView, memoryView, toView } from './memory.view.js';
import { OF_SESSION, OF_USER, type PlaceRoutes } from './places.js';

/** The same routes for the memory of a user and of a session. */
function writesOf(place: PlaceRoutes): Type {
  @ApiTags('Memory')
  @Controller(place.path)
  class MemoryWrites {
    constructor(private readonly memory: MemoryService) {}

    @Post()
    @Operation({
      ...place.writes,
      id: `add${place.whose}Memory`,
      summary: 'Keep a typed entry without a key',
      answers: { 201: memoryView },
      refusals: { 404: ['memory_not_found'], 409: ['memory_full'], 422: ['read_only'] },
      body: { required: true, example: { memory_type: 'preference', content: 'Likes short answers.' } },
      idempotent: true,
      versioned: 'read',
    })
    async add(
      @place.Id() id: string,
      @Body({ schema: addMemoryBody }) body: AddMemory,
      @IdempotencyKey() key: string | null,
      @CurrentCaller() caller: Caller,
      @Res({ passthrough: true }) reply: FastifyReply,
    ) {
      return toView(
        tagged(reply, replyOnce(reply, await this.memory.add(place.placeOf(id), body, caller, key))),
      );
    }

    @Delete()
    @Operation({
      ...place.writes,
      id: `clear${place.whose}Memory`,
      summary: 'Delete all entries',
      answers: { 200: clearedView },
      // of a session it is told of already; of all sessions of a user one may be busy
      refusals: place.whose === 'User' ? { 409: ['session_busy'] } : {},
    })
    async clear(
      @place.Id() id: string,
      @Query({ schema: place.clear }) query: ClearMemory,
      @CurrentCaller() caller: Caller,
    ) {
      return { deleted: await this.memory.clear(place.placeOf(id), caller, query.include_sessions ?? false) };
    }

    @Put(':key')
    @Operation({
      ...place.writes,
      id: `save${place.whose}Memory`,
      summary: 'Save an entry under a key, whole',
      description: 'What is left out goes back to its default.',
      answers: { 200: memoryView, 201: memoryView },
      refusals: { 409: ['memory_full'], 422: ['read_only'] },
      body: { required: true, example: { value: ['penicillin'], importance: 0.9 } },
      versioned: 'write',
    })
    async save(
      @place.Id() id: string,
      @Param('key', { schema: memoryKey }) key: string,
      @Body({ schema: saveMemoryBody }) body: SaveMemory,
      @Headers('if-match') match: string | undefined,
      @CurrentCaller() caller: Caller,
      @Res({ passthrough: true }) reply: FastifyReply,
    ) {
      const { row, isNew } = await this.memory.save(place.placeOf(id), key, body, caller, ifMatch(match));
      if (isNew) reply.status(201);
      return toView(tagged(reply, row));
    }

    @Patch(':key')
    @Operation({
      ...place.writes,
      id: `patch${place.whose}Memory`,
      summary: 'Merge into an entry (RFC 7396)',
      answers: { 200: memoryView },
      refusals: { 404: ['memory_not_found'], 422: ['read_only'] },
      body: {
        example: { value: { diet: 'vegan' } },
        mediaTypes: ['application/json', 'application/merge-patch+json'],
      },
      versioned: 'write',
    })
    async patch(
      @place.Id() id: string,
      @Param('key', { schema: keyOrId }) key: string,
      @Body({ schema: patchMemoryBody }) body: PatchMemory,
      @Headers('if-match') match: string | undefined,
      @CurrentCaller() caller: Caller,
      @Res({ passthrough: true }) reply: FastifyReply,
    ) {
      return toView(
        tagged(reply, await this.memory.patch(place.placeOf(id), key, body, caller, ifMatch(match))),
      );
    }

    @Delete(':key')
    @Operation({
      ...place.writes,
      id: `delete${place.whose}Memory`,
      summary: 'Delete an entry, and what it was before',
      answers: { 204: null },
      refusals: { 404: ['memory_not_found'] },
      versioned: 'write',
    })
    async delete(
      @place.Id() id: string,
      @Param('key', { schema: keyOrId }) key: string,
      @Headers('if-match') match: string | undefined,
      @CurrentCaller() caller: Caller,
    ): Promise<void> {
      await this.memory.delete(place.placeOf(id), key, caller, ifMatch(match));
    }
  }
  return MemoryWrites;
}

export const UserMemoryWrites = writesOf(OF_USER);
export const SessionMemoryWrites = writesOf(OF_SESSION);
