import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import type { JsonObject } from '../common/json.js';
import { Users } from '../events/users.js';
import { SessionsService } from '../sessions/sessions.service.js';
import type { MemorySpace } from './memory.entity.js';
import type { Place } from './memory.repository.js';
import { MemoryWritesRepository } from './memory-writes.repository.js';

/** A place whose entries nobody else changes until the transaction ends. */
export interface Space extends MemorySpace {
  scope: Place['scope'];
  userId: string | null;
  sessionId: string | null;
  /** of the session: nothing may be changed meanwhile */
  busy_job: string | null;
}

/** Holds the memory of a user or of a session: first its owner's row, then its own, so that changes follow one another. */
@Injectable()
export class SpacesService {
  constructor(
    private readonly users: Users,
    private readonly sessions: SessionsService,
    private readonly writes: MemoryWritesRepository,
  ) {}

  /** @throws DomainError `session_not_found`, `session_deleted`, `forbidden` */
  async lock({ scope, id }: Place, caller: Caller, deletedToo = false): Promise<Space> {
    if (scope === 'user') {
      const space = await this.writes.lockSpace(await this.users.lock(id));
      return { ...space, scope, userId: id, sessionId: null, busy_job: null };
    }
    const session = await this.sessions.lock(id, caller, 'work', deletedToo);
    const space = await this.writes.lockSpace(session.key);
    const { user_id: userId, id: sessionId, busy_job } = session;
    return { ...space, scope, userId, sessionId, busy_job };
  }

  /** Writes an event of the user, or of the session. */
  async tell(space: Space, type: string, payload: JsonObject): Promise<void> {
    const teller = space.scope === 'user' ? this.users : this.sessions;
    await teller.tell(space.key, [{ type, payload }]);
  }
}
