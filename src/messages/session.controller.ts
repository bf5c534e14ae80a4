import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { tagged } from '../http/etag.js';
import { Operation } from '../http/operation.js';
import { toView as toSessionView } from '../sessions/session.view.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { sessionWithMessages, toView } from './message.view.js';
import { type GetSessionQuery, getSessionQuery } from './messages.schemas.js';
import { MessagesService } from './messages.service.js';

/** A session, with the end of its history if asked for: so its route is in this room. */
@ApiTags('Sessions')
@Controller('sessions/:session_id')
export class SessionController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly messages: MessagesService,
  ) {}

  @Get()
  @Operation({
    id: 'getSession',
    seesDeleted: true,
    summary: 'Get a session',
    description: 'A deleted one is answered with `include_deleted=true`, but never with its messages.',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: sessionWithMessages },
    versioned: 'read',
  })
  async get(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: getSessionQuery }) query: GetSessionQuery,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const session = toSessionView(tagged(reply, await this.sessions.get(id, caller, query.include_deleted)));
    if (query.include !== 'messages') return session;
    const newest = await this.messages.newest(id, caller);
    return { ...session, messages: newest.map((message) => toView(message, id)) };
  }
}
