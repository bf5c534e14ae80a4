import { Injectable } from '@nestjs/common';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';
import type { Counters } from './counters.js';
import type { SessionStats } from './session-stats.entity.js';

/** What was counted for a session. */
export type Counted = Pick<SessionStats, 'counters' | 'metadata'>;

const NOTHING: Counted = { counters: {}, metadata: {} };

/** Counters of sessions, as others reported them. */
@Injectable()
export class SessionStatsRepository {
  constructor(private readonly database: Database) {}

  async find(session: number): Promise<Counted> {
    const [row] = await this.database.query<Counted>(FIND, [session]);
    return row ?? NOTHING;
  }

  /** Within a transaction that holds the session's row. */
  async save(session: number, counters: Counters, metadata: JsonObject, events: NewEvent[]): Promise<void> {
    const documents = [JSON.stringify(counters), JSON.stringify(metadata)];
    await this.database.query(SAVE, [session, ...documents, JSON.stringify(events)]);
  }

  /** Removes at most `limit` rows of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    const [row] = await this.database.query<{ count: number }>(PURGE, [key, limit]);
    return row!.count;
  }
}

const FIND = statement(
  'sessionStats.find',
  'select counters, metadata from session_stats where session_key = $1',
);

const SAVE = statement(
  'sessionStats.save',
  `with stats as (
     insert into session_stats (session_key, counters, metadata, reports, switches)
     values ($1, $2::json, $3::json, 0, 0)
     on conflict (session_key) do update set counters = excluded.counters, metadata = excluded.metadata
   ), s as (
     update sessions s set ${numberEvents('s', 'jsonb_array_length($4::jsonb)')} where s.key = $1 returning s.*
   ) ${insertEventList('s', '$4')}`,
);

const PURGE = statement(
  'sessionStats.purge',
  `with reports as (
     delete from model_reports where session_key = $1 and n in
       (select n from model_reports where session_key = $1 order by n limit $2)
     returning 1
   ), usage as (
     delete from model_usage where session_key = $1 returning 1
   ), stats as (
     delete from session_stats where session_key = $1 returning 1
   )
   select ((select count(*) from reports) + (select count(*) from usage) + (select count(*) from stats))::int as count`,
);
