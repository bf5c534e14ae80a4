import { Body, Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { pageRequest, pageView } from '../common/page-request.js';
import { checkOwner, cutPage, encodeCursor, isPair, type Within } from '../common/paging.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { appendedView, messagesPage, messageView, toView } from './message.view.js';
import {
  type AppendBody,
  appendBody,
  type MessagesQuery,
  messageId,
  messagesQuery,
} from './messages.schemas.js';
import { MessagesService } from './messages.service.js';

const DEFAULT_LIMIT = 100;

@ApiTags('Messages')
@Controller('sessions/:session_id/messages')
export class MessagesController {
  constructor(private readonly messages: MessagesService) {}

  @Post()
  @Operation({
    id: 'appendMessages',
    summary: 'Append one message, or a batch: all or nothing, exactly once, in order',
    description:
      'A message with a `message_id` is told apart by that; for one without, the id is made from caller, ' +
      '`Idempotency-Key` and position, so that a repeated request meets its own messages.',
    scope: 'sessions:write',
    permission: 'work',
    answers: { 201: appendedView, 200: appendedView },
    refusals: {
      409: ['session_not_open', 'seq_moved', 'message_id_conflict', 'tool_call_answered'],
      422: ['unknown_tool_call', 'reserved_id', 'read_only'],
      503: ['session_unavailable'],
    },
    body: { required: true, example: { role: 'user', content: 'Why does my invoice show two items?' } },
    idempotent: true,
  })
  async append(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: appendBody }) body: AppendBody,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const isBatch = 'messages' in body;
    const request = {
      messages: isBatch ? body.messages : [body],
      isBatch,
      expectedSeq: body.expected_seq ?? null,
    };
    const { messages, messageCount, replayed } = await this.messages.append(id, request, caller, key);
    const views = messages.map((message) => toView(message, id));
    const value = isBatch ? { messages: views, message_count: messageCount } : views[0];
    return replyOnce(reply, { status: replayed ? 200 : 201, value, replayed });
  }

  @Get()
  @Operation({
    id: 'listMessages',
    summary: 'Read the history, oldest first or newest first',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: messagesPage },
    refusals: { 400: ['invalid_cursor'], 413: ['page_too_large'] },
  })
  async list(
    @Param('session_id', { schema: sessionId }) id: string,
    @Query({ schema: messagesQuery }) query: MessagesQuery,
    @CurrentCaller() caller: Caller,
  ) {
    const { order, after_seq = 0, before_seq = null, role = null, message_type = null } = query;
    const scope = { id, order, after_seq, before_seq, role, message_type };
    const page = pageRequest(query, DEFAULT_LIMIT, scope, isPair);
    const after = page.after?.[1];
    const range = {
      descending: order === 'desc',
      afterSeq: order === 'asc' ? (after ?? after_seq) : after_seq,
      beforeSeq: order === 'desc' ? (after ?? before_seq) : before_seq,
      role,
      messageType: message_type,
      offset: page.offset ?? 0,
      isByOffset: page.offset !== null,
      limit: page.limit,
    };
    const counted = query.include_total ? { ...range, afterSeq: after_seq, beforeSeq: before_seq } : null;
    const { rows, session, messageCount, total } = await this.messages.page(id, range, counted, caller);
    checkOwner(page.after, session);
    const cursorOf = ({ seq }: { seq: number }) => encodeCursor(scope, [session, seq] satisfies Within);
    const cut = cutPage(rows, page.limit, cursorOf, range.isByOffset);
    const first = cut.rows[0]?.seq;
    const before = first === undefined ? 0 : order === 'asc' ? first - 1 : messageCount - first;
    return {
      messages: cut.rows.map((row) => toView(row, id)),
      ...pageView(page, { ...cut, total }),
      page: page.page ?? Math.floor((page.offset ?? before) / page.limit) + 1,
      page_size: page.limit,
    };
  }

  @Get(':message_id')
  @Operation({
    id: 'getMessage',
    summary: 'Get one message',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: messageView },
    refusals: { 404: ['message_not_found'] },
  })
  async get(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('message_id', { schema: messageId }) message: string,
    @CurrentCaller() caller: Caller,
  ) {
    return toView(await this.messages.get(id, message, caller), id);
  }
}
