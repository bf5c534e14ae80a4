import { Injectable } from '@nestjs/common';
import { verify } from '../access/verify.js';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { Database } from '../database/database.js';
import { type Alive, LivenessRepository } from './liveness.repository.js';
import { SessionsRepository } from './sessions.repository.js';
import { recoversByItself, SettlingService } from './settling.service.js';

/** Signs of life, and what follows from their absence. */
@Injectable()
export class LivenessService {
  constructor(
    private readonly database: Database,
    private readonly liveness: LivenessRepository,
    private readonly sessions: SessionsRepository,
    private readonly settling: SettlingService,
  ) {}

  /**
   * Renews activity, expiry and the watch for a crash, and lets the session recover by itself three times again.
   * @throws DomainError `session_not_found`, `session_deleted`, `forbidden`, `session_not_open`
   */
  async heartbeat(id: string, caller: Caller): Promise<Alive> {
    const alive = await this.liveness.beat(id, caller.userId);
    if (alive) return alive;
    const row = verify(await this.sessions.find(id, caller.userId), 'work');
    // one that is open now was not then, or was shared meanwhile
    const isOpen = row.status === 'active' || row.status === 'paused';
    if (!isOpen && !(recoversByItself(row) && (await this.wake(id, caller))))
      throw sessionNotOpen(row.status);
    return this.heartbeat(id, caller);
  }

  /** Recovers a session that crashed by silence and may do so by itself. Answers whether it is open now. */
  wake(id: string, caller: Caller): Promise<boolean> {
    return this.database.run(async () => {
      const row = verify(await this.sessions.lock(id, caller.userId), 'work');
      const { status } = await this.settling.settle(row, caller.userId);
      return status === 'active' || status === 'paused';
    });
  }
}

export const sessionNotOpen = (status: string) =>
  new DomainError(
    'conflict',
    'session_not_open',
    `The session is ${status} and takes neither messages, points nor heartbeats.`,
    {
      extra: { session_status: status },
    },
  );
