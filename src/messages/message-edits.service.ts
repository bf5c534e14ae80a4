import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { DomainError, invalid } from '../common/errors.js';
import { checkSize, type JsonObject, jsonBytes, mergePatch } from '../common/json.js';
import { Database } from '../database/database.js';
import { isOutOfRange } from '../database/failures.js';
import { checkFree } from '../sessions/lifecycle.js';
import { legalHold } from '../sessions/session-edits.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import type { StoredMessage } from './message.entity.js';
import { MessageEditsRepository } from './message-edits.repository.js';
import { MessageSums } from './message-sums.js';
import { METADATA_KIB, type PatchMessage } from './messages.schemas.js';
import { MessagesService } from './messages.service.js';

/** What may still be changed of a message: what is reported of it, and that it says anything at all. */
@Injectable()
export class MessageEditsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly messages: MessagesService,
    private readonly edits: MessageEditsRepository,
    private readonly sums: MessageSums,
  ) {}

  /**
   * Merges into the metadata (RFC 7396), sets tokens and cost; the session's totals follow.
   * @throws DomainError `message_not_found`, `message_redacted`, `too_large`
   */
  patch(id: string, messageId: string, input: PatchMessage, caller: Caller): Promise<StoredMessage> {
    return this.database.run(async () => {
      const { session, message } = await this.lock(id, messageId, caller);
      checkFree(session);
      if (message.redacted_at)
        throw new DomainError('conflict', 'message_redacted', 'The message is redacted.');
      const metadata = mergePatch(message.metadata, input.metadata ?? {}) as JsonObject;
      checkSize('/metadata', metadata, METADATA_KIB);
      const after = { ...message, ...input, metadata };
      const updates = REPORTED.filter(
        (name) => JSON.stringify(after[name]) !== JSON.stringify(message[name]),
      );
      if (updates.length === 0) return message;
      const bytes = jsonBytes(after.content) + jsonBytes(after.tool_calls) + jsonBytes(metadata);
      const event = { type: 'message.updated', payload: { seq: message.seq, updates } };
      const { key } = session;
      const reported = await this.edits
        .report(key, message.seq, { ...after, bytes }, [event])
        .catch(outOfRange);
      const before = { tokens: message.tokens_used ?? 0, cost: message.cost_usd ?? 0 };
      if (updates.some((name) => name !== 'metadata')) await this.sums.correct(key, message.seq, before);
      return reported;
    });
  }

  /**
   * Clears content, arguments of calls, name and metadata for good. Again: the same answer. Copies in other sessions are
   * separate: they are counted.
   * @throws DomainError `message_not_found`, `legal_hold`
   */
  redact(id: string, messageId: string, caller: Caller): Promise<{ message: StoredMessage; copies: number }> {
    return this.database.run(async () => {
      const { session, message } = await this.lock(id, messageId, caller);
      if (session.legal_hold) throw legalHold();
      const copies = await this.edits.countCopies(session.id, message.message_id);
      if (message.redacted_at) return { message, copies };
      checkFree(session);
      const { seq, message_id } = message;
      const redacted = { type: 'message.redacted', payload: { seq, message_id } };
      const { agent_id, status } = session;
      const untitled = { type: 'session.updated', payload: { agent_id, status, updates: ['title'] } };
      const events = session.title_seq === seq ? [redacted, untitled] : [redacted];
      return { message: await this.edits.redact(session.key, seq, events), copies };
    });
  }

  private async lock(id: string, messageId: string, caller: Caller) {
    const session = await this.sessions.lock(id, caller, 'manage');
    return { session, message: await this.messages.get(id, messageId, caller) };
  }
}

const REPORTED = ['metadata', 'tokens_used', 'cost_usd'] as const;

function outOfRange(error: unknown): never {
  if (!isOutOfRange(error)) throw error;
  throw invalid([{ pointer: '/cost_usd', detail: 'the session’s total would be out of range' }]);
}
