import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { effectivePolicy, isCounted, judged, mayGiveWay } from './due.sql.js';
import type { Action, FieldName } from './rules.js';

/** A step that is due for a session. */
export interface Due {
  key: number;
  session_id: string;
  action: Action;
  rule: FieldName;
  due_since: Date;
}

/** Where a walk over one user's sessions goes on: the activity of the last one seen, and its key. */
export type Place = [activity: string, key: number];

interface Counted {
  place: Place;
  isCounted: boolean;
}

type Judged = Omit<Due, 'action'> & { action: Action | null };

/** What is due by the policies, found by walks whose every page is bounded. */
@Injectable()
export class DueRepository {
  constructor(private readonly database: Database) {}

  async now(): Promise<Date> {
    const [row] = await this.database.query<{ now: Date }>(CLOCK);
    return row!.now;
  }

  /** The next sessions by key; `last` is the last one looked at, null: there are no more. */
  async page(now: string, after: number, limit: number): Promise<{ due: Due[]; last: number | null }> {
    const rows = await this.database.query<Judged>(PAGE, [now, after, limit]);
    return { due: rows.filter(isDue), last: rows.at(-1)?.key ?? null };
  }

  /** Of these sessions, as they are now. */
  async among(now: string, keys: number[]): Promise<Due[]> {
    return (await this.database.query<Judged>(AMONG, [now, keys])).filter(isDue);
  }

  /** Whether any policy says how many sessions a user may have. */
  async isAnyoneLimited(): Promise<boolean> {
    return (await this.database.query(IS_ANYONE_LIMITED)).length > 0;
  }

  /** The next users by name, those with more sessions than they may have; `last` is the last one looked at, null: there are no more. */
  async usersBeyond(after: string, limit: number): Promise<{ users: string[]; last: string | null }> {
    const rows = await this.database.query<{ user_id: string; is_beyond: boolean }>(USERS, [after, limit]);
    const users = rows.filter(({ is_beyond }) => is_beyond).map(({ user_id }) => user_id);
    return { users, last: rows.at(-1)?.user_id ?? null };
  }

  /** How many sessions the user may have; null: as many as he likes. */
  async limitOf(user: string): Promise<number | null> {
    const [row] = await this.database.query<{ most: number | null }>(LIMIT_OF, [user]);
    return row!.most;
  }

  /** The user's next sessions before a place, the most active first: where they are, and whether they count. */
  async counted(now: string, user: string, before: Place | null, limit: number): Promise<Counted[]> {
    const [activity, key] = before ?? ['infinity', 0];
    const rows = await this.database.query<{ last_activity_at: Date; key: number; is_counted: boolean }>(
      COUNTED,
      [...[now, user, limit, activity, key]],
    );
    return rows.map((row) => ({
      place: [row.last_activity_at.toISOString(), row.key],
      isCounted: row.is_counted,
    }));
  }

  /** The next of the user's sessions up to the edge of what he may have, the least active first; `last` is where the page ends. */
  async beyond(
    now: string,
    user: string,
    edge: Place,
    after: Place | null,
    limit: number,
  ): Promise<{ due: Due[]; last: Place | null }> {
    const values = [now, user, limit, ...(after ?? ['-infinity', 0]), ...edge];
    const rows = await this.database.query<Judged>(BEYOND, values);
    const last = rows.at(-1);
    return { due: rows.filter(isDue), last: last ? [last.due_since.toISOString(), last.key] : null };
  }

  /** …those among these that are there still. */
  async beyondAmong(now: string, user: string, edge: Place, keys: number[]): Promise<Due[]> {
    return (await this.database.query<Judged>(BEYOND_AMONG, [now, user, keys, ...edge])).filter(isDue);
  }
}

const isDue = (row: Judged): row is Due => row.action !== null;

const CLOCK = statement('due.clock', 'select clock_timestamp()::timestamptz(3) as now');

const judgedRows = (page: string) => `
  with page as materialized (${page})
  select s.key, s.id as session_id, v.action, v.rule, v.due_since
  from page s cross join lateral ${effectivePolicy('s.user_id')} p ${judged('$1')}`;

/** The last one of a page is always there. */
const PAGE = statement(
  'due.page',
  `${judgedRows('select * from sessions where key > $2 order by key limit $3')}
   where v.action is not null or s.key = (select max(key) from page)
   order by s.key`,
);

const AMONG = statement(
  'due.among',
  `${judgedRows('select * from sessions where key = any($2::bigint[])')} where v.action is not null order by s.key`,
);

const IS_ANYONE_LIMITED = statement(
  'due.isAnyoneLimited',
  `select from retention_policies where policy ->> 'max_sessions_per_user' is not null limit 1`,
);

const LIMIT_OF = statement(
  'due.limitOf',
  `select p.max_sessions_per_user as most from ${effectivePolicy('$1::text')} p`,
);

/** From name to name along an index. What expired counts here, and what other rules lay aside: who is found is looked at again. */
const USERS = statement(
  'due.users',
  `with recursive u(user_id, n) as (
     (select s.user_id, 1 from sessions s where s.user_id > $1 order by s.user_id limit 1)
     union all
     select (select s.user_id from sessions s where s.user_id > u.user_id order by s.user_id limit 1), u.n + 1
     from u where u.user_id is not null and u.n < $2::int
   )
   select u.user_id, p.max_sessions_per_user is not null and exists (
     select from sessions s
     where s.user_id = u.user_id and s.purged_at is null and s.deleted_at is null and s.archived_at is null
     offset p.max_sessions_per_user limit 1) as is_beyond
   from u cross join lateral ${effectivePolicy('u.user_id')} p
   where u.user_id is not null
   order by u.user_id`,
);

/** Rows of a user along the index of his activity; the last one of a page is always there. */
const activityPage = (from: string, direction: 'asc' | 'desc') => `
  select * from sessions where user_id = $2 and ${from}
  order by last_activity_at ${direction}, key ${direction} limit $3`;

const COUNTED = statement(
  'due.counted',
  `with page as materialized (${activityPage('(last_activity_at, key) < ($4::timestamptz, $5::bigint)', 'desc')})
   select s.last_activity_at, s.key, coalesce(${isCounted}, false) as is_counted
   from page s cross join lateral ${effectivePolicy('s.user_id')} p ${judged('$1')}
   order by s.last_activity_at desc, s.key desc`,
);

const beyond = (page: string, also: string) => `
  with page as materialized (${page})
  select s.key, s.id as session_id, s.last_activity_at as due_since, 'max_sessions_per_user' as rule,
    case when ${isCounted} and ${mayGiveWay('$1')} ${also} then 'archive' end as action
  from page s cross join lateral ${effectivePolicy('s.user_id')} p ${judged('$1')}
  order by s.last_activity_at, s.key`;

const BEYOND = statement(
  'due.beyond',
  beyond(
    activityPage(
      '(last_activity_at, key) > ($4::timestamptz, $5::bigint) and (last_activity_at, key) <= ($6::timestamptz, $7::bigint)',
      'asc',
    ),
    '',
  ),
);

const BEYOND_AMONG = statement(
  'due.beyondAmong',
  beyond(
    'select * from sessions where key = any($3::bigint[])',
    `and s.user_id = $2 and (s.last_activity_at, s.key) <= ($4::timestamptz, $5::bigint)
     and p.max_sessions_per_user is not null`,
  ),
);
