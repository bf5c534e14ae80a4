import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionsPage, toPageView } from './session.view.js';
import { SessionListService } from './session-list.service.js';
import { type SessionsQuery, userId, userSessionsQuery } from './sessions.schemas.js';

@ApiTags('Sessions')
@Controller('users/:user_id/sessions')
export class UserSessionsController {
  constructor(private readonly lists: SessionListService) {}

  @Get()
  @Operation({
    id: 'listUserSessions',
    summary: 'List the sessions of one user',
    scope: 'sessions:read',
    ofUser: true,
    answers: { 200: sessionsPage },
    refusals: { 400: ['invalid_cursor'], 413: ['page_too_large'] },
  })
  async list(
    @Param('user_id', { schema: userId }) user: string,
    @Query({ schema: userSessionsQuery }) query: SessionsQuery,
    @CurrentCaller() caller: Caller,
  ) {
    return toPageView(await this.lists.page(query, user, caller));
  }
}
