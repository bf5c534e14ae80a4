import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { invalid } from '../common/errors.js';
import { Database } from '../database/database.js';
import { type Answer, type Effect, IdempotencyService } from '../idempotency/idempotency.service.js';
import { MemoryCopiesRepository } from '../memory/memory-copies.repository.js';
import { MessageCopiesRepository } from '../messages/message-copies.repository.js';
import type { SessionRow } from '../sessions/session.view.js';
import { SessionCopiesService } from '../sessions/session-copies.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import type { ForkSession } from './fork.schemas.js';

/** A conversation taken another way from some message on. */
@Injectable()
export class ForkService {
  constructor(
    private readonly database: Database,
    private readonly idempotency: IdempotencyService,
    private readonly sessions: SessionsService,
    private readonly copies: SessionCopiesService,
    private readonly messages: MessageCopiesRepository,
    private readonly memory: MemoryCopiesRepository,
  ) {}

  /**
   * The source is held until all is copied: what was redacted before is redacted in the copy. Nobody sees the copy
   * before it is whole.
   * @throws DomainError `invalid` for a seq beyond the last, `session_id_taken`, `key_reused`
   */
  fork(id: string, input: ForkSession, caller: Caller, key: string | null): Promise<Answer<SessionRow>> {
    return this.database.run(async () => {
      const source = await this.sessions.lock(id, caller, 'read');
      const request = { key, caller, route: `POST fork ${source.key}`, body: input };
      const work = () => this.copy(source, input, caller);
      return this.idempotency.once(request, work, ([made]) => this.sessions.getByKey(made!, caller));
    });
  }

  private async copy(source: SessionRow, input: ForkSession, caller: Caller): Promise<Effect<SessionRow>> {
    const { up_to_seq = source.message_count, ...given } = input;
    if (up_to_seq > source.message_count)
      throw invalid([{ pointer: '/up_to_seq', detail: `must be at most ${source.message_count}` }]);
    const key = await this.copies.fork(source, { ...given, up_to_seq }, caller);
    await this.messages.copy(source, key, up_to_seq);
    if (caller.scopes.has('memory:read')) await this.memory.copy(source.key, key);
    return { status: 201, ids: [key], value: await this.sessions.getByKey(key, caller) };
  }
}
