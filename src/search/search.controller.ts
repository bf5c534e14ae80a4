import { Body, Controller, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import {
  memoryHits,
  messageHits,
  type SearchMemory,
  type SearchMessages,
  searchMemoryBody,
  searchMessagesBody,
  toMemoryHit,
  toMessageHit,
} from './search.schemas.js';
import { SearchService } from './search.service.js';

const REFUSALS = {
  404: ['session_not_found', 'session_deleted'],
  422: ['embeddings_refused'],
  501: ['embeddings_not_configured'],
  503: ['embeddings_unavailable', 'vectors_unavailable', 'vectors_rate_limited'],
};

@ApiTags('Search')
@Controller()
export class SearchController {
  constructor(private readonly search: SearchService) {}

  @Post('search/messages')
  @Operation({
    id: 'searchMessages',
    summary: 'Find messages by what they say',
    description:
      'Content, names and arguments of calls, within ten seconds of their writing; the best hits, as far as they fit in 8 MiB.',
    scope: 'sessions:read',
    answers: { 200: messageHits },
    refusals: REFUSALS,
    body: { required: true, example: { query: 'invoice', neighbours: 1 } },
  })
  async messages(
    @Body({ schema: searchMessagesBody }) body: SearchMessages,
    @CurrentCaller() caller: Caller,
  ) {
    const { hits, mode } = await this.search.findMessages(body, caller);
    return { hits: hits.map(toMessageHit), mode };
  }

  @Post('memory/search')
  @Operation({
    id: 'searchMemory',
    summary: 'Find entries of memory by what they say',
    description: 'Keys and values, of one user or session, or of all the caller may see.',
    scope: 'memory:read',
    answers: { 200: memoryHits },
    refusals: REFUSALS,
    body: { required: true, example: { query: 'penicillin' } },
  })
  async memory(@Body({ schema: searchMemoryBody }) body: SearchMemory, @CurrentCaller() caller: Caller) {
    const { hits, mode } = await this.search.findMemory(body, caller);
    return { hits: hits.map(toMemoryHit), mode };
  }
}
