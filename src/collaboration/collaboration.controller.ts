import { Body, Controller, Delete, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { firstFault } from '../common/json.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { checkOwner, cutPage, encodeCursor, type PageRequest } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { tagged } from '../http/etag.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { sessionView, toView as toSessionView } from '../sessions/session.view.js';
import { sessionId, userId } from '../sessions/sessions.schemas.js';
import {
  type CollaboratorsQuery,
  collaboratorsPage,
  collaboratorsQuery,
  MOST_LISTED,
  type Share,
  shareBody,
  type Transfer,
  toView,
  transferBody,
} from './collaboration.schemas.js';
import { CollaborationService, type Listed } from './collaboration.service.js';

/** Where a page goes on: in this session, behind this name; behind the owner it is empty. */
type ListKey = [session: number, name: string];

@ApiTags('Collaboration')
@Controller('sessions/:session_id')
export class CollaborationController {
  constructor(private readonly collaboration: CollaborationService) {}

  @Post('share')
  @Operation({
    id: 'shareSession',
    summary: 'Share a session with users, or change what they may do',
    description:
      'Managers appoint viewers and editors; to appoint managers, or to make one something else, is the owner’s. The answer is the beginning of the list of ' +
      'collaborators. A session is shared with at most 1,000 users.',
    scope: 'sessions:write',
    permission: 'manage',
    answers: { 200: collaboratorsPage },
    refusals: { 409: ['too_many_collaborators'], 422: ['is_owner'] },
    body: { required: true, example: { user_ids: ['bob', 'carol'], role: 'editor' } },
    idempotent: true,
  })
  async share(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: shareBody }) body: Share,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const listed = replyOnce(reply, await this.collaboration.share(id, body, caller, key));
    return toPageView(id, pageRequest({}, MOST_LISTED, scopeOf(id), isListKey), listed);
  }

  @Delete('share/:user_id')
  @Operation({
    id: 'unshareSession',
    summary: 'Stop sharing a session with a user; anyone may leave a session himself',
    description: 'Managers remove viewers and editors, the owner anybody.',
    scope: 'sessions:write',
    permission: 'read',
    answers: { 204: null },
    refusals: { 404: ['not_a_collaborator'] },
  })
  async unshare(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('user_id', { schema: userId }) user: string,
    @CurrentCaller() caller: Caller,
  ): Promise<void> {
    await this.collaboration.unshare(id, user, caller);
  }

  @Get('collaborators')
  @Operation({
    id: 'listCollaborators',
    summary: 'Who may do what: the owner, then those the session is shared with, by name',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: collaboratorsPage },
    refusals: { 400: ['invalid_cursor'] },
  })
  async list(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: collaboratorsQuery }) query: CollaboratorsQuery,
    @CurrentCaller() caller: Caller,
  ) {
    const page = pageRequest(query, 50, scopeOf(id), isListKey);
    const listed = await this.collaboration.list(id, page.after?.[1] ?? null, page.limit, caller);
    checkOwner(page.after, listed.session);
    return toPageView(id, page, listed);
  }

  @Post('transfer')
  @Operation({
    id: 'transferSession',
    summary: 'Give a session to another user; who had it stays its manager',
    description: 'To its owner himself: nothing changes. What is kept of a user in his own memory stays his.',
    scope: 'sessions:write',
    permission: 'own',
    answers: { 200: sessionView },
    body: { required: true, example: { user_id: 'bob' } },
    idempotent: true,
    versioned: 'read',
  })
  async transfer(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: transferBody }) { user_id }: Transfer,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toSessionView(
      tagged(reply, replyOnce(reply, await this.collaboration.transfer(id, user_id, caller, key))),
    );
  }
}

const scopeOf = (id: string) => ['collaborators', id];

const isListKey = (key: unknown): key is ListKey =>
  Array.isArray(key) && key.length === 2 && Number.isSafeInteger(key[0]) && isName(key[1]);

const isName = (name: unknown) => typeof name === 'string' && firstFault(name) === null;

function toPageView(id: string, page: PageRequest<ListKey>, { session, rows }: Listed) {
  const cut = cutPage(
    rows.map((row) => ({ ...row, found: rows.length })),
    page.limit,
    ({ user_id, role }) => encodeCursor(scopeOf(id), [session, role === 'owner' ? '' : user_id]),
  );
  return { collaborators: cut.rows.map(toView), ...pageView(page, cut) };
}
