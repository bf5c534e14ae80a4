import { Controller, Param, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { tagged } from '../http/etag.js';
import { IdempotencyKey, replyOnce } from '../http/idempotency-key.js';
import { Operation } from '../http/operation.js';
import { recoveredView } from './checkpoints.schemas.js';
import { LivenessService } from './liveness.service.js';
import { aliveView, toAliveView, toView } from './session.view.js';
import { SessionEditsService } from './session-edits.service.js';
import { sessionId } from './sessions.schemas.js';

@ApiTags('Sessions')
@Controller('sessions/:session_id')
export class LivenessController {
  constructor(
    private readonly liveness: LivenessService,
    private readonly edits: SessionEditsService,
  ) {}

  @Post('heartbeat')
  @Operation({
    id: 'heartbeat',
    summary: 'Say that the session is alive: renews its activity and its time',
    description: 'May be repeated at will: an `Idempotency-Key` is taken and has no effect.',
    scope: 'sessions:write',
    permission: 'work',
    answers: { 200: aliveView },
    refusals: { 409: ['session_not_open'] },
    idempotent: true,
  })
  async heartbeat(
    @Param('session_id', { schema: sessionId }) id: string,
    @IdempotencyKey() _key: string | null,
    @CurrentCaller() caller: Caller,
  ) {
    return toAliveView(await this.liveness.heartbeat(id, caller));
  }

  @Post('recover')
  @Operation({
    id: 'recoverSession',
    summary: 'Make a crashed session active again, and get the last checkpoint it saved',
    description: 'One that is active already is answered as it is.',
    scope: 'sessions:write',
    permission: 'work',
    answers: { 200: recoveredView },
    refusals: { 409: ['invalid_transition'] },
    idempotent: true,
    versioned: 'read',
  })
  async recover(
    @Param('session_id', { schema: sessionId }) id: string,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const session = toView(tagged(reply, replyOnce(reply, await this.edits.recover(id, caller, key))));
    return { session, checkpoint: session.checkpoint };
  }
}
