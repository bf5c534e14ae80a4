import { Injectable } from '@nestjs/common';
import { roleHeld } from '../access/access.sql.js';
import { PERMISSIONS } from '../access/roles.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { isOpen, renewActivity, statusOf } from './session.sql.js';
import type { SessionRow } from './session.view.js';

/** What a heartbeat answers. */
export type Alive = Pick<SessionRow, 'id' | 'status' | 'busy_job' | 'last_activity_at' | 'expires_at'>;

@Injectable()
export class LivenessRepository {
  constructor(private readonly database: Database) {}

  /** One statement; null: something forbids it. */
  async beat(id: string, user: string | null): Promise<Alive | null> {
    const [row] = await this.database.query<Alive>(BEAT, [id, user, PERMISSIONS.work]);
    return row ?? null;
  }
}

const BEAT = statement(
  'sessions.beat',
  `update sessions s set recoveries = 0, ${renewActivity('s')}
   where s.id = $1 and s.purged_at is null and ${isOpen('s')} and (${roleHeld('s', '$2')}) = any($3::text[])
   returning s.id, ${statusOf('s')} as status, s.busy_job, s.last_activity_at, s.expires_at`,
);
