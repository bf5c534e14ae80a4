import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { ifMatch, tagged } from '../http/etag.js';
import { IdempotencyKey } from '../http/idempotency-key.js';
import { made } from '../http/made.js';
import { Operation, type OperationSpec } from '../http/operation.js';
import { sessionsPage, sessionView, toPageView, toView } from './session.view.js';
import { SessionEditsService } from './session-edits.service.js';
import { SessionListService } from './session-list.service.js';
import {
  type CreateSession,
  createSessionBody,
  deleteSessionQuery,
  type EditSession,
  editSessionBody,
  type ResumeSession,
  resumeSessionBody,
  type SessionsQuery,
  sessionId,
  sessionsQuery,
} from './sessions.schemas.js';
import { SessionsService } from './sessions.service.js';

const EDIT = {
  answers: { 200: sessionView },
  refusals: { 409: ['invalid_transition'], 422: ['read_only', 'owner_required'] },
  versioned: 'write',
} satisfies Partial<OperationSpec>;

@ApiTags('Sessions')
@Controller('sessions')
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly edits: SessionEditsService,
    private readonly lists: SessionListService,
  ) {}

  @Post()
  @Operation({
    id: 'createSession',
    summary: 'Make a session, or get the one that has the id',
    scope: 'sessions:write',
    answers: { 201: sessionView, 200: sessionView },
    refusals: {
      404: ['session_not_found', 'session_deleted'],
      409: ['session_id_taken'],
      422: ['owner_required', 'reserved_id', 'read_only'],
    },
    body: {
      example: {
        session_id: 'support-4711',
        if_exists: 'return',
        metadata: { ticket: 4711 },
        tags: ['billing'],
      },
    },
    idempotent: true,
    located: true,
    versioned: 'read',
  })
  async create(
    @Body({ schema: createSessionBody }) body: CreateSession,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(made(reply, await this.sessions.create(body, caller, key)));
  }

  @Get()
  @Operation({
    id: 'listSessions',
    summary: 'List sessions: one’s own, or for a service everybody’s',
    scope: 'sessions:read',
    answers: { 200: sessionsPage },
    refusals: { 400: ['invalid_cursor'], 413: ['page_too_large'] },
  })
  async list(@Query({ schema: sessionsQuery }) query: SessionsQuery, @CurrentCaller() caller: Caller) {
    return toPageView(await this.lists.page(query, query.user_id ?? null, caller));
  }

  @Post('resume')
  @Operation({
    id: 'resumeLatestSession',
    summary: 'Go on with the most recent active or paused session that matches',
    description:
      'What is left out is not asked for: a service that names an `agent_id` alone may be given a session that the ' +
      'agent has with any user.',
    scope: 'sessions:write',
    answers: { 200: sessionView, 201: sessionView },
    refusals: {
      404: ['session_not_found', 'session_deleted'],
      409: ['session_busy'],
      422: ['owner_required'],
    },
    body: { example: { client_id: 'web', create: true } },
    idempotent: true,
    located: true,
    versioned: 'read',
  })
  async resumeLatest(
    @Body({ schema: resumeSessionBody }) body: ResumeSession,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(made(reply, await this.sessions.resume(body, caller, key)));
  }

  @Put(':session_id')
  @Operation({
    id: 'replaceSessionFields',
    summary: 'Set fields, the named ones whole',
    scope: 'sessions:write',
    permission: 'work',
    body: { example: { title: 'Invoice 4711', metadata: { ticket: 4711 } } },
    ...EDIT,
  })
  async put(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: editSessionBody }) body: EditSession,
    @Headers('if-match') match: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(tagged(reply, await this.edits.edit(id, body, false, caller, ifMatch(match))));
  }

  @Patch(':session_id')
  @Operation({
    id: 'patchSession',
    summary: 'Change fields; JSON documents are merged into (RFC 7396)',
    scope: 'sessions:write',
    permission: 'work',
    body: {
      example: { status: 'paused', context: { step: 4, draft: null } },
      mediaTypes: ['application/json', 'application/merge-patch+json'],
    },
    ...EDIT,
  })
  async patch(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: editSessionBody }) body: EditSession,
    @Headers('if-match') match: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(tagged(reply, await this.edits.edit(id, body, true, caller, ifMatch(match))));
  }

  @Delete(':session_id')
  @Operation({
    id: 'deleteSession',
    seesDeleted: true,
    summary: 'Delete a session: restorable, or for good',
    scope: 'sessions:write',
    permission: 'own',
    answers: { 200: sessionView, 204: null },
    refusals: { 409: ['legal_hold'] },
    versioned: 'write',
  })
  async delete(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: deleteSessionQuery }) query: { permanent: boolean },
    @Headers('if-match') match: string | undefined,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (!query.permanent) return toView(tagged(reply, await this.edits.delete(id, caller, ifMatch(match))));
    await this.edits.deleteForGood(id, caller, ifMatch(match));
    reply.status(204);
  }
}
