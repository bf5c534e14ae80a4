import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Sessions, and messages of them, looked at by one statement. */
const [SESSIONS, MESSAGES] = [1_000, 200_000];

/** A session whose figures are not what its rows come to. */
export interface Faulty {
  session_key: number;
  what: string;
}

/** Holds what is kept of figures against the rows that they are of; each statement sees one moment. */
@Injectable()
export class Recount {
  constructor(private readonly database: Database) {}

  /** The sums over messages of every session, its totals, and those of its models. */
  async findFaulty(): Promise<Faulty[]> {
    const faulty: Faulty[] = [];
    for (let after = 0; ; ) {
      const [page] = await this.database.query<{ last: number | null; keys: number[] }>(PAGE, [
        after,
        SESSIONS,
        MESSAGES,
      ]);
      if (page!.last === null) return faulty;
      for (const query of [SUMS, TOTALS, MODELS])
        faulty.push(...(await this.database.query<Faulty>(query, [page!.keys])));
      after = page!.last;
    }
  }
}

const PAGE = statement(
  'recount.page',
  `select max(key) as last, coalesce(array_agg(key)::text[]::float8[], '{}') as keys from (
     select key, sum(message_count) over (order by key) - message_count as messages_before from sessions
     where key > $1::bigint and purged_at is null order by key limit $2::int) page
   where messages_before < $3::bigint`,
);

/** A session that was deleted for good meanwhile is taken apart. */
const STILL_THERE = 'select key from sessions where key = any($1::bigint[]) and purged_at is null';

const SUMS = statement(
  'recount.sums',
  `with session as (${STILL_THERE}), message as (
     select m.session_key, m.role, coalesce(m.model, '') as model,
       to_char(m.created_at at time zone 'UTC', 'YYYY-MM-DD') as day, m.tokens_used, m.cost_usd
     from message_folds f join messages m on m.session_key = f.session_key and m.seq <= f.folded_seq
     where f.session_key in (select key from session)
   ), counted as (
     select session_key, kind, name, count(*) as messages, coalesce(sum(tokens_used), 0) as tokens, coalesce(sum(cost_usd), 0) as cost
     from message cross join lateral (values ('role', role), ('model', model), ('day', day)) as part(kind, name)
     group by session_key, kind, name
   ), kept as (select * from message_sums where session_key in (select key from session))
   select distinct session_key, 'messages by ' || kind as what
   from counted c full join kept k using (session_key, kind, name)
   where (c.messages, c.tokens, c.cost) is distinct from (k.messages, k.tokens, k.cost)`,
);

const TOTALS = statement(
  'recount.totals',
  `select s.key as session_key, 'messages' as what from sessions s
   left join (
     select session_key, count(*) as messages, sum(tokens_used) as tokens, sum(cost_usd) as cost
     from messages where session_key = any($1::bigint[]) group by session_key) m on m.session_key = s.key
   where s.key = any($1::bigint[]) and s.purged_at is null and (s.message_count, s.total_tokens, s.total_cost)
     is distinct from (coalesce(m.messages, 0), coalesce(m.tokens, 0), coalesce(m.cost, 0))`,
);

const MODELS = statement(
  'recount.models',
  `with session as (${STILL_THERE}), report as (
     select *, lag(model_name) over (partition by session_key, model_type order by n) <> model_name as is_switch
     from model_reports where session_key in (select key from session)
   ), counted as (
     select session_key, model_type, model_name, sum(calls) as calls, sum(tokens) as tokens, sum(cost_usd) as cost_usd,
       min(reported_at) as first_used_at, max(reported_at) as last_used_at, max(n) as last_n
     from report group by session_key, model_type, model_name
   ), kept as (select * from model_usage where session_key in (select key from session))
   select session_key, 'use of models' as what from counted c full join kept k using (session_key, model_type, model_name)
   where (c.calls, c.tokens, c.cost_usd, c.first_used_at, c.last_used_at, c.last_n)
     is distinct from (k.calls, k.tokens, k.cost_usd, k.first_used_at, k.last_used_at, k.last_n)
   union
   select s.session_key, 'switches of models' from session_stats s
   left join (
     select session_key, count(*) as reports, count(*) filter (where is_switch) as switches,
       max(reported_at) filter (where is_switch) as last_switch_at
     from report group by session_key) r on r.session_key = s.session_key
   where s.session_key in (select key from session) and (s.reports, s.switches, s.last_switch_at)
     is distinct from (coalesce(r.reports, 0), coalesce(r.switches, 0), r.last_switch_at)`,
);
