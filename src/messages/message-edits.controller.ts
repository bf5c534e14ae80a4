import { Body, Controller, Delete, Param, Patch } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Caller } from '../common/caller.js';
import { CurrentCaller } from '../http/caller.guard.js';
import { Operation } from '../http/operation.js';
import { sessionId } from '../sessions/sessions.schemas.js';
import { messageView, redactedView, toView } from './message.view.js';
import { MessageEditsService } from './message-edits.service.js';
import { messageId, type PatchMessage, patchMessageBody } from './messages.schemas.js';

@ApiTags('Messages')
@Controller('sessions/:session_id/messages/:message_id')
export class MessageEditsController {
  constructor(private readonly edits: MessageEditsService) {}

  @Patch()
  @Operation({
    id: 'patchMessage',
    summary: 'Report metadata, tokens or cost of a message later',
    description: 'Metadata is merged into (RFC 7396); the totals of the session follow.',
    scope: 'sessions:write',
    permission: 'manage',
    answers: { 200: messageView },
    refusals: { 404: ['message_not_found'], 409: ['message_redacted'], 422: ['read_only'] },
    body: {
      example: { tokens_used: 57, cost_usd: 0.00031 },
      mediaTypes: ['application/json', 'application/merge-patch+json'],
    },
  })
  async patch(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('message_id', { schema: messageId }) message: string,
    @Body({ schema: patchMessageBody }) body: PatchMessage,
    @CurrentCaller() caller: Caller,
  ) {
    return toView(await this.edits.patch(id, message, body, caller), id);
  }

  @Delete()
  @Operation({
    id: 'redactMessage',
    summary: 'Redact a message: take away what it says, keep where it stood',
    description:
      'Clears content, arguments of tool calls, name and metadata, and a title made from it. Ids, seq, links, ' +
      'tokens and cost stay. Copies in forks are separate; the answer counts them. Again: the same answer.',
    scope: 'sessions:write',
    permission: 'manage',
    answers: { 200: redactedView },
    refusals: { 404: ['message_not_found'], 409: ['legal_hold'] },
  })
  async redact(
    @Param('session_id', { schema: sessionId }) id: string,
    @Param('message_id', { schema: messageId }) message: string,
    @CurrentCaller() caller: Caller,
  ) {
    const { message: redacted, copies } = await this.edits.redact(id, message, caller);
    return { ...toView(redacted, id), copies };
  }
}
