import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { OLDEST_RUNNING_TX, settledAfter } from '../events/events.sql.js';
import type { Position } from './position.js';

/** What has been told in the stream of all events since a place. */
export interface News {
  end: Position;
  count: number;
  /** of the users that were asked for, those who see some of it */
  users: Set<string>;
  /** something is told already that may yet get neighbours before it */
  isUnsettled: boolean;
}

interface Row {
  count: number;
  tx: number;
  position: number;
  users: string[];
  is_unsettled: boolean;
}

/** So many events are looked at in one step. */
export const LOOKED_AT = 5_000;

/** Whether there is news, and for whom. */
@Injectable()
export class NewsRepository {
  constructor(private readonly database: Database) {}

  /** How many events have been told of each session. */
  heads(keys: number[]): Promise<{ key: number; event_seq: number }[]> {
    return this.database.query(HEADS, [keys]);
  }

  async since(start: Position, users: string[]): Promise<News> {
    const [row] = await this.database.query<Row>(SINCE, [...start, users, LOOKED_AT]);
    const { count, tx, position, is_unsettled } = row!;
    return {
      end: count > 0 ? [tx, position] : start,
      count,
      users: new Set(row!.users),
      isUnsettled: is_unsettled,
    };
  }
}

const HEADS = statement('news.heads', 'select key, event_seq from sessions where key = any($1::bigint[])');

/**
 * By the keys of what was told: a user may have a hundred thousand sessions.
 * $1 tx, $2 position, $3 users, $4 limit
 */
const SINCE = statement(
  'news.since',
  `with page as materialized (
     select e.aggregate_key as key, e.tx, e.position from events e where ${settledAfter('e', '$1', '$2')}
     order by e.tx, e.position limit $4::int
   ), told as (select distinct key from page)
   select count(*)::int as count, (array_agg(tx order by tx desc, position desc))[1] as tx,
     (array_agg(position order by tx desc, position desc))[1] as position,
     (select coalesce(array_agg(distinct seen.id), '{}') from (
        select s.user_id as id from told
          cross join lateral (select user_id from sessions where sessions.key = told.key offset 0) s
        where s.user_id = any($3::text[])
        union all
        select m.user_id from told join members m on m.session_key = told.key where m.user_id = any($3::text[])
        union all
        select u.id from told cross join lateral (select id from users where users.key = told.key offset 0) u
        where u.id = any($3::text[])) seen) as users,
     (select true from events e where e.tx >= ${OLDEST_RUNNING_TX} order by e.tx, e.position limit 1) is not null as is_unsettled
   from page`,
);
