import { Injectable } from '@nestjs/common';
import { isUnmoved } from '../access/access.sql.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { SessionRow } from './session.view.js';
import type { LockedRow } from './sessions.repository.js';
import { sessionColumns } from './sessions.sql.js';

/** Which job reads a session. */
@Injectable()
export class BusySessionsRepository {
  constructor(private readonly database: Database) {}

  /** Held until the transaction ends, taken in the order of their keys, so that two who want the same wait for each other. */
  async lockAll(ids: string[], user: string | null): Promise<SessionRow[]> {
    const rows = await this.database.query<LockedRow>(LOCK_ALL, [ids, user]);
    return rows.every(({ is_unmoved }) => is_unmoved) ? rows : this.lockAll(ids, user);
  }

  async mark(keys: number[], jobId: string): Promise<void> {
    await this.database.query(MARK, [keys, jobId]);
  }

  /** Those that the job had are free. */
  async free(jobId: string): Promise<void> {
    await this.database.query(FREE, [jobId]);
  }
}

const LOCK_ALL = statement(
  'busy.lockAll',
  `with s as materialized (
     select * from sessions where id = any($1::text[]) and purged_at is null order by key for update)
   select ${sessionColumns('$2', 'clock_timestamp()')}, ${isUnmoved('s', '$2')} as is_unmoved from s join session_details d on d.key = s.key`,
);

const MARK = statement('busy.mark', 'update sessions set busy_job = $2 where key = any($1::bigint[])');

const FREE = statement(
  'busy.free',
  `with held as materialized (select key from sessions where busy_job = $1 order by key for update)
   update sessions s set busy_job = null from held where s.key = held.key`,
);
