import { applyDecorators, Controller, Param, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Permission } from '../access/roles.js';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { tagged } from '../http/etag.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { sessionView, toView } from './session.view.js';
import { SessionEditsService } from './session-edits.service.js';
import { sessionId } from './sessions.schemas.js';

const Transition = (verb: string, summary: string, permission: Permission) =>
  applyDecorators(
    Post(verb),
    Operation({
      id: `${verb}Session`,
      summary,
      description: 'The same as PATCH of `status`. In that state already: 200, nothing changes.',
      scope: 'sessions:write',
      permission,
      seesDeleted: verb === 'restore',
      answers: { 200: sessionView },
      refusals: { 409: ['invalid_transition'] },
      idempotent: true,
      versioned: 'read',
    }),
  );

/** Named transitions of a session's status. */
@ApiTags('Sessions')
@Controller('sessions/:session_id')
export class TransitionsController {
  constructor(private readonly edits: SessionEditsService) {}

  @Transition('archive', 'Archive', 'manage')
  archive(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'archived', caller, key, reply);
  }

  @Transition('restore', 'Bring an archived or deleted session back to what it was', 'manage')
  restore(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'restored', caller, key, reply);
  }

  @Transition('pause', 'Pause', 'work')
  pause(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'paused', caller, key, reply);
  }

  @Transition('resume', 'Make active again', 'work')
  resume(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'active', caller, key, reply);
  }

  @Transition('complete', 'Complete', 'work')
  complete(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'completed', caller, key, reply);
  }

  @Transition('crash', 'Mark as crashed', 'work')
  crash(
    @Param('session_id', { schema: sessionId }) id: string,
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.move(id, 'crashed', caller, key, reply);
  }

  private async move(
    id: string,
    to: Parameters<SessionEditsService['transition']>[1],
    caller: Caller,
    key: string | null,
    reply: FastifyReply,
  ) {
    return toView(tagged(reply, replyOnce(reply, await this.edits.transition(id, to, caller, key))));
  }
}
