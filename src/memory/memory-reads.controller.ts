import { Controller, Get, Param, Query, Res, type Type } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { checkOwner, cutPage, encodeCursor, isPair, type Within } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { tagged } from '../http/etag.js';
import { Operation } from '../http/operation.js';
import type { ListedRow } from './memory.repository.js';
import {
  type GetMemory,
  type HistoryQuery,
  historyQuery,
  keyOrId,
  type ListMemory,
} from './memory.schemas.js';
import { MemoryService } from './memory.service.js';
import { type MemoryRow, memoryHistory, memoryList, memoryView, toView } from './memory.view.js';
import { OF_SESSION, OF_USER, type PlaceRoutes } from './places.js';

const DEFAULT_LIMIT = 50;

/** The same routes for the memory of a user and of a session. */
function readsOf(place: PlaceRoutes): Type {
  @ApiTags('Memory')
  @Controller(place.path)
  class MemoryReads {
    constructor(private readonly memory: MemoryService) {}

    @Get()
    @Operation({
      ...place.reads,
      id: `list${place.whose}Memory`,
      summary: 'List entries, oldest first, or as a map by key',
      answers: { 200: memoryList },
      refusals: { 400: ['invalid_cursor'] },
    })
    async list(
      @place.Id() id: string,
      @Query({ schema: place.list }) query: ListMemory,
      @CurrentCaller() caller: Caller,
    ) {
      const { view, memory_type = null, prefix = null, include } = query;
      const listScope = ['memory', place.path, id, view, memory_type, prefix, include ?? null];
      const page = pageRequest(query, DEFAULT_LIMIT, listScope, isPair);
      const rows = await this.memory.page(place.placeOf(id), {
        ...{ user: caller.userId, includeUser: include === 'user', memoryType: memory_type, prefix },
        ...{ namedOnly: view === 'map', after: page.after, limit: page.limit },
      });
      const cut = cutPage(rows, page.limit, ({ rank, key }: ListedRow) =>
        encodeCursor(listScope, [rank, key]),
      );
      const shown = view === 'map' ? { memories: toMap(cut.rows) } : { entries: cut.rows.map(toView) };
      return { ...shown, ...pageView(page, cut) };
    }

    @Get(':key')
    @Operation({
      ...place.reads,
      id: `get${place.whose}Memory`,
      summary: 'Get one entry',
      answers: { 200: memoryView },
      refusals: { 404: ['memory_not_found'] },
      versioned: 'read',
    })
    async get(
      @place.Id() id: string,
      @Param('key', { schema: keyOrId }) key: string,
      @Query({ schema: place.get }) query: GetMemory,
      @CurrentCaller() caller: Caller,
      @Res({ passthrough: true }) reply: FastifyReply,
    ) {
      const row = await this.memory.get(place.placeOf(id), key, caller, query.include === 'user');
      return toView(tagged(reply, row));
    }

    @Get(':key/history')
    @Operation({
      ...place.reads,
      id: `list${place.whose}MemoryHistory`,
      summary: 'What an entry was before, newest first',
      description: 'The newest 100 versions are kept, or 4 MiB of them.',
      answers: { 200: memoryHistory },
      refusals: { 400: ['invalid_cursor'], 404: ['memory_not_found'] },
    })
    async history(
      @place.Id() id: string,
      @Param('key', { schema: keyOrId }) key: string,
      @Query({ schema: historyQuery }) query: HistoryQuery,
      @CurrentCaller() caller: Caller,
    ) {
      const listScope = ['memory history', place.path, id, key];
      const page = pageRequest(query, DEFAULT_LIMIT, listScope, isPair);
      const before = page.after?.[1] ?? null;
      const { entry, versions } = await this.memory.versions(
        place.placeOf(id),
        key,
        before,
        page.limit,
        caller,
      );
      checkOwner(page.after, entry.key);
      const cursorOf = ({ version }: { version: number }) =>
        encodeCursor(listScope, [entry.key, version] satisfies Within);
      const cut = cutPage(versions, page.limit, cursorOf);
      const entries = cut.rows.map((version) => toView({ ...entry, ...version } as MemoryRow));
      return { entries, ...pageView(page, cut) };
    }
  }
  return MemoryReads;
}

export const UserMemoryReads = readsOf(OF_USER);
export const SessionMemoryReads = readsOf(OF_SESSION);

const toMap = (rows: MemoryRow[]) => Object.fromEntries(rows.map((row) => [row.name!, row.value]));
