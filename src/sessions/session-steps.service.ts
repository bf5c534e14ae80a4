import { Injectable } from '@nestjs/common';
import { newId } from '../common/ids.js';
import { isLockTimeout } from '../database/failures.js';
import { SessionStepsRepository } from './session-steps.repository.js';
import { SessionsRepository } from './sessions.repository.js';
import { SettlingService } from './settling.service.js';

/** Seconds that one session is waited for. */
const PATIENCE = 2;

/**
 * Lays many sessions aside in one transaction, with the events that each would have alone. What is under legal hold, or read by a job, is not held, so nothing
 * is done to it.
 */
@Injectable()
export class SessionStepsService {
  constructor(
    private readonly steps: SessionStepsRepository,
    private readonly sessions: SessionsRepository,
    private readonly settling: SettlingService,
  ) {}

  /** Holds those that nobody else does, in the order of keys; answers them. */
  hold(keys: number[]): Promise<number[]> {
    return this.steps.lock(keys);
  }

  /**
   * …one that somebody else does, when he is done.
   * @throws DomainError for which `isStillHeld` holds: the transaction is of no more use
   */
  holdPatiently(key: number): Promise<number[]> {
    return this.steps.lockPatiently(key, PATIENCE);
  }

  /** Whether another transaction was not done with a session in time. */
  isStillHeld(error: unknown): boolean {
    return isLockTimeout(error);
  }

  async archive(keys: number[]): Promise<void> {
    await this.settle(keys);
    await this.steps.archive(keys);
  }

  /** Softly, for this reason. */
  async delete(keys: number[], reason: string): Promise<void> {
    await this.settle(keys);
    await this.steps.delete(keys, reason);
  }

  /** For good; the purge removes the rows. */
  purge(keys: number[]): Promise<void> {
    return this.steps.purge(
      keys,
      keys.map(() => newId()),
    );
  }

  /** A session that fell silent crashed before it is laid aside, as by any other change. */
  private async settle(keys: number[]): Promise<void> {
    for (const id of await this.steps.findLapsed(keys)) {
      const row = await this.sessions.lock(id, null);
      if (row) await this.settling.settle(row, null);
    }
  }
}
