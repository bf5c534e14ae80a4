import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';
import type { Session, SessionDetails } from './session.entity.js';

/** What is told of a session when it is shown. */
export type Hidden = Pick<Session, 'agent_id' | 'session_type' | 'runtime_backend'> &
  Pick<SessionDetails, 'collection'>;

/** Rows of sessions that nobody sees yet: `purged_at` is when the purge may remove them. */
@Injectable()
export class HiddenSessionsRepository {
  constructor(private readonly database: Database) {}

  async hide(key: number, seconds: number): Promise<void> {
    await this.database.query(HIDE, [key, seconds]);
  }

  /** Holds the row and puts the purge off; false: that has begun, or the session is shown. */
  async renew(key: number, seconds: number): Promise<boolean> {
    return (await this.database.query(RENEW, [key, seconds])).length > 0;
  }

  /** False: the purge has begun. */
  async show(key: number, events: NewEvent[]): Promise<boolean> {
    return (await this.database.query(SHOW, [key, JSON.stringify(events)])).length > 0;
  }

  async discard(key: number, freedId: string): Promise<void> {
    await this.database.query(DISCARD, [key, freedId]);
  }

  async entitle(key: number, title: string, seq: number): Promise<void> {
    await this.database.query(ENTITLE, [key, title, seq]);
  }

  async find(key: number): Promise<Hidden | null> {
    const [row] = await this.database.query<Hidden>(FIND, [key]);
    return row ?? null;
  }
}

const isHidden = 'purged_at > clock_timestamp()';

const HIDE = statement(
  'hidden.hide',
  'update sessions set purged_at = clock_timestamp() + make_interval(secs => $2) where key = $1',
);

const RENEW = statement(
  'hidden.renew',
  `update sessions set purged_at = clock_timestamp() + make_interval(secs => $2) where key = $1 and ${isHidden} returning 1`,
);

/** Its time begins now. */
const SHOW = statement(
  'hidden.show',
  `with s as (
     update sessions s set purged_at = null,
       expires_at = case when s.expires_at is not null then clock_timestamp() + make_interval(mins => s.timeout_minutes) end,
       overdue_at = case when s.overdue_at is not null then clock_timestamp() + make_interval(secs => s.heartbeat_timeout_seconds) end,
       ${numberEvents('s', 'jsonb_array_length($2::jsonb)')}
     where s.key = $1 and s.${isHidden}
     returning s.*
   ), e as (${insertEventList('s', '$2')})
   select 1 from s`,
);

const DISCARD = statement(
  'hidden.discard',
  `update sessions set id = $2, purged_at = clock_timestamp() where key = $1 and ${isHidden}`,
);

const ENTITLE = statement(
  'hidden.entitle',
  `with s as (update sessions set title_seq = $3 where key = $1)
   update session_details set title = $2 where key = $1`,
);

const FIND = statement(
  'hidden.find',
  `select s.agent_id, s.session_type, s.runtime_backend, d.collection
   from sessions s join session_details d on d.key = s.key where s.key = $1`,
);
