import { Injectable } from '@nestjs/common';
import type { Caller } from '../common/caller.js';
import { DomainError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { Database } from '../database/database.js';
import type { NewEvent } from '../events/events.sql.js';
import { type Hidden, HiddenSessionsRepository } from './hidden-sessions.repository.js';
import type { NewSession } from './new-session.js';
import { SessionsService, sessionCreated } from './sessions.service.js';

/**
 * Sessions while they are being made, in many transactions: nobody sees them, and what whoever makes them leaves
 * behind is purged, with all that hangs on it, when its time is over.
 */
@Injectable()
export class HiddenSessionsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsService,
    private readonly hidden: HiddenSessionsRepository,
  ) {}

  /**
   * The id is taken from now on. Answers its key.
   * @param seconds until the purge may remove it, unless `isThere` or `write` puts that off
   * @throws DomainError `session_id_taken`
   */
  begin(session: NewSession, seconds: number, caller: Caller): Promise<number> {
    return this.database.run(async () => {
      const key = await this.sessions.deriveQuietly(session, caller);
      await this.hidden.hide(key, seconds);
      return key;
    });
  }

  /**
   * Writes to it, in a transaction that holds it and puts the purge off.
   * @throws DomainError `session_given_up` when the purge has begun
   */
  write<T>(key: number, seconds: number, work: () => Promise<T>): Promise<T> {
    return this.database.run(async () => {
      if (!(await this.isThere(key, seconds))) throw givenUp();
      return work();
    });
  }

  /** Puts the purge off, and holds it until the transaction ends; false: it has begun. */
  isThere(key: number, seconds: number): Promise<boolean> {
    return this.hidden.renew(key, seconds);
  }

  /** Gives it a title that was made from the message with this seq: redacted together. */
  entitle(key: number, title: string, seq: number): Promise<void> {
    return this.hidden.entitle(key, title, seq);
  }

  /** Everybody who may sees it, whole, and it is told of: that it was made, what else happened, and its collection. */
  async show(key: number, more: NewEvent[]): Promise<void> {
    const session = await this.hidden.find(key);
    if (
      !session ||
      !(await this.hidden.show(key, [sessionCreated(session), ...more, ...collectionOf(session)]))
    )
      throw givenUp();
  }

  /** Frees its id; the purge removes the rest. One that is shown, or gone, stays as it is. */
  async discard(key: number): Promise<void> {
    await this.hidden.discard(key, newId());
  }
}

function collectionOf({ collection }: Hidden): NewEvent[] {
  if (!collection) return [];
  return [{ type: 'collection.created', payload: { name: collection.name, backend: collection.backend } }];
}

const givenUp = () =>
  new DomainError('unavailable', 'session_given_up', 'The session took too long to make; it is begun anew.', {
    retryAfter: 1,
  });
