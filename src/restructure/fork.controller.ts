import { Body, Controller, Param, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { IdempotencyKey } from '../http/idempotency-key.js';
import { made } from '../http/made.js';
import { Operation } from '../http/operation.js';
import { sessionView, toView } from '../sessions/session.view.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { type ForkSession, forkSessionBody } from './fork.schemas.js';
import { ForkService } from './fork.service.js';

@ApiTags('Sessions')
@Controller('sessions/:session_id/fork')
export class ForkController {
  constructor(private readonly forks: ForkService) {}

  @Post()
  @Operation({
    id: 'forkSession',
    summary: 'Make a copy of one’s own, of the history up to some message',
    description:
      'Ids, seq and links of messages are kept, and each names its `origin`; context, tags and memory are copied as ' +
      'they are now. Memory only if the key has the scope memory:read. `client_id`, sharing, expiry and heartbeat settings are not. A copy of a service belongs to the ' +
      'owner of the source. Statistics over several sessions count a message where it was said, not in copies.',
    scope: 'sessions:write',
    permission: 'read',
    answers: { 201: sessionView },
    refusals: { 409: ['session_id_taken'], 422: ['reserved_id'] },
    body: { example: { up_to_seq: 2, title: 'Another way' } },
    idempotent: true,
    located: true,
    versioned: 'read',
  })
  async fork(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: forkSessionBody }) body: ForkSession,
    @IdempotencyKey() key: string | null,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return toView(made(reply, await this.forks.fork(id, body, caller, key)));
  }
}
