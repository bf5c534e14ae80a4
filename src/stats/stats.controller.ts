import { Controller, Get, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { serviceStats, sessionSummary, toStats } from './stats.schemas.js';
import { SummariesService } from './summaries.service.js';
import { TotalsService } from './totals.service.js';

@ApiTags('Statistics')
@Controller('sessions')
export class StatsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly summaries: SummariesService,
    private readonly totals: TotalsService,
  ) {}

  @Get('stats')
  @Operation({
    id: 'getServiceStats',
    summary: 'What the caller’s sessions come to; for a service, everybody’s',
    description: 'A service’s figures may lag by one sweep (`SWEEP_SECONDS`): `as_of` tells.',
    scope: 'stats:read',
    answers: { 200: serviceStats },
  })
  async ofAll(@CurrentCaller() caller: Caller) {
    return toStats(await this.totals.of(caller));
  }

  @Get(':session_id/summary')
  @Operation({
    id: 'getSessionSummary',
    summary: 'A session in figures',
    scope: 'stats:read',
    permission: 'read',
    answers: { 200: sessionSummary },
  })
  async ofSession(@Param('session_id', { schema: sessionId }) id: string, @CurrentCaller() caller: Caller) {
    const [summary] = await this.summaries.of([await this.sessions.get(id, caller)]);
    return summary;
  }
}
