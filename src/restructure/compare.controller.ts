import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { type CompareQuery, compareQuery, comparison } from './compare.schemas.js';
import { CompareService } from './compare.service.js';

@ApiTags('Sessions')
@Controller('sessions/compare')
export class CompareController {
  constructor(private readonly comparisons: CompareService) {}

  @Get()
  @Operation({
    id: 'compareSessions',
    summary: 'Hold sessions beside one another: their figures, what they share, where they differ',
    scope: 'sessions:read',
    answers: { 200: comparison },
    refusals: { 404: ['session_not_found', 'session_deleted'] },
  })
  compare(@Query({ schema: compareQuery }) { session_ids }: CompareQuery, @CurrentCaller() caller: Caller) {
    return this.comparisons.compare(session_ids, caller);
  }
}
