import { Body, Controller, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { type AskContext, contextBody, contextView, toView } from './context.schemas.js';
import { ContextService } from './context.service.js';

@ApiTags('Context')
@Controller('sessions/:session_id/context')
export class ContextController {
  constructor(private readonly contexts: ContextService) {}

  @Post()
  @Operation({
    id: 'makeContext',
    summary: 'Make what fits into a model’s window',
    description:
      'Never more than the budget, never a result without its call or a call without its results; it says what it left out, and why.',
    scope: 'sessions:read',
    permission: 'read',
    answers: { 200: contextView },
    refusals: { 413: ['pinned_too_large'], 422: ['budget_too_small', 'too_many_pinned'] },
    body: { required: true, example: { max_tokens: 4000, strategy: 'pinned' } },
  })
  async make(
    @Param('session_id', { schema: sessionId }) id: string,
    @Body({ schema: contextBody }) body: AskContext,
    @CurrentCaller() caller: Caller,
  ) {
    return toView(await this.contexts.assemble(id, body, caller), id);
  }
}
