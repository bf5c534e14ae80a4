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

  /** A user's sessions beyond what he may have, the least active first. */
  beyond(now: string, user: string, after: Place | null, limit: number): Promise<Due[]> {
    const [activity, key] = after ?? ['-infinity', 0];
    return this.database.query<Due>(BEYOND, [now, user, activity, key, limit]);
  }

  /** …those among these that still are. */
  beyondAmong(now: string, user: string, keys: number[]): Promise<Due[]> {
    return this.database.query<Due>(BEYOND_AMONG, [now, user, keys]);
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

/** \`edge\` is the most active of those beyond: what is more active stays. */
const beyond = (which: string, rest: string) => `
  with p as materialized (select * from ${effectivePolicy('$2::text')} p),
  edge as materialized (
    select s.last_activity_at, s.key
    from sessions s cross join p ${judged('$1')}
    where s.user_id = $2 and p.max_sessions_per_user is not null and ${isCounted}
    order by s.last_activity_at desc, s.key desc
    offset (select max_sessions_per_user from p) limit 1
  )
  select s.key, s.id as session_id, 'archive' as action, 'max_sessions_per_user' as rule, s.last_activity_at as due_since
  from sessions s cross join p cross join edge ${judged('$1')}
  where s.user_id = $2 and (s.last_activity_at, s.key) <= (edge.last_activity_at, edge.key)
    and ${isCounted} and ${mayGiveWay('$1')} and ${which} ${rest}`;

const BEYOND = statement(
  'due.beyond',
  beyond(
    '(s.last_activity_at, s.key) > ($3::timestamptz, $4::bigint)',
    'order by s.last_activity_at, s.key limit $5',
  ),
);

const BEYOND_AMONG = statement('due.beyondAmong', beyond('s.key = any($3::bigint[])', 'order by s.last_activity_at, s.key'));
