import { Injectable } from '@nestjs/common';
import type { NewEvent } from '../events/events.sql.js';
import { eventsOf, type Plan } from './edit.js';
import { checkFree } from './lifecycle.js';
import { MAX_RECOVERIES } from './session.sql.js';
import type { SessionRow } from './session.view.js';
import { type SessionChanges, SessionsRepository } from './sessions.repository.js';

/** Crashed by silence that nobody has written down yet, and not too often recovered already. */
export const recoversByItself = (row: SessionRow): boolean =>
  row.status === 'crashed' && row.state === 'active' && row.auto_recover && row.recoveries < MAX_RECOVERIES;

/** Writes down what time alone has done to a session: that it expired, that it crashed, that it recovers by itself. */
@Injectable()
export class SettlingService {
  constructor(private readonly sessions: SessionsRepository) {}

  /**
   * Brings a locked row to the status it already shows; whatever changes a session does this first. Nothing is
   * written when nothing is due.
   * @param user for whom the row is read
   * @throws DomainError `session_busy`
   */
  async settle(row: SessionRow, user: string | null): Promise<SessionRow> {
    checkFree(row);
    if (row.status === 'deleted' && row.deleted_at === null) return this.expire(row, user);
    if (row.status !== 'crashed' || row.state === 'crashed') return row;
    const unnoticed = { ...row, status: row.state };
    const crash = { state: 'crashed', last_activity_at: row.last_activity_at } as const;
    const crashed = await this.save(unnoticed, crash, 'crashed', user);
    if (!recoversByItself(row)) return crashed;
    const recovery = { state: 'active', recoveries: row.recoveries + 1 } as const;
    return this.save(crashed, recovery, 'active', user);
  }

  private save(row: SessionRow, session: SessionChanges, status: Plan['status'], user: string | null) {
    const plan: Plan = { session, details: {}, updates: ['status'], status };
    return this.sessions.save(row, session, {}, eventsOf(row, plan), user);
  }

  private expire(row: SessionRow, user: string | null): Promise<SessionRow> {
    const payload = { agent_id: row.agent_id, status: 'deleted' };
    const events: NewEvent[] = [
      { type: 'session.updated', payload: { ...payload, updates: ['status'] } },
      { type: 'session.expired', payload },
    ];
    return this.sessions.save(
      row,
      { deleted_at: row.expires_at, deleted_reason: 'expired' },
      {},
      events,
      user,
    );
  }
}
