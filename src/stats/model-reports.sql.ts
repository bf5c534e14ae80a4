import { type Statement, statement } from '../database/statement.js';

/**
 * SQL that appends reports to a session's, with all that follows from them: totals by model, switches, how many there are. Within a
 * transaction that holds the session's row.
 * @param given a query with the `position, model_type, model_name, calls, tokens, cost_usd, reported_at` (null: now) of each
 */
export const appendReports = (name: string, given: string): Statement =>
  statement(
    name,
    `with given as materialized (${given}),
   last as (
     select coalesce((select reports from session_stats where session_key = $1), 0) as n,
       (select reported_at from model_reports where session_key = $1 order by n desc limit 1) as reported_at
   ), report as materialized (
     select last.n + g.position as n, g.model_type, g.model_name, g.calls, g.tokens, g.cost_usd,
       coalesce(g.reported_at, greatest(last.reported_at, clock_timestamp())) as reported_at
     from given g cross join last
   ), used as (
     select distinct on (model_type) model_type, model_name from model_usage
     where session_key = $1 order by model_type, last_n desc
   ), switched as (
     select reported_at, lag(r.model_name, 1, used.model_name) over (partition by r.model_type order by r.n) <> r.model_name as is_switch
     from report r left join used using (model_type)
   ), reported as (
     insert into model_reports (session_key, n, model_type, model_name, calls, tokens, cost_usd, reported_at)
     select $1::bigint, n, model_type, model_name, calls, tokens, cost_usd, reported_at from report
   ), total as (
     insert into model_usage (session_key, model_type, model_name, calls, tokens, cost_usd, first_used_at, last_used_at, last_n)
     select $1::bigint, model_type, model_name, sum(calls), sum(tokens), sum(cost_usd), min(reported_at), max(reported_at), max(n)
     from report group by model_type, model_name
     on conflict (session_key, model_type, model_name) do update set
       calls = model_usage.calls + excluded.calls, tokens = model_usage.tokens + excluded.tokens,
       cost_usd = model_usage.cost_usd + excluded.cost_usd,
       first_used_at = least(model_usage.first_used_at, excluded.first_used_at),
       last_used_at = greatest(model_usage.last_used_at, excluded.last_used_at), last_n = excluded.last_n
     returning calls, tokens, (xmax = 0) as is_new
   ), stats as (
     insert into session_stats (session_key, counters, metadata, reports, switches, last_switch_at)
     select $1::bigint, '{}', '{}', count(*), count(*) filter (where is_switch), max(reported_at) filter (where is_switch)
     from switched
     on conflict (session_key) do update set
       reports = session_stats.reports + excluded.reports, switches = session_stats.switches + excluded.switches,
       last_switch_at = coalesce(excluded.last_switch_at, session_stats.last_switch_at)
   )
   select max(calls) as calls, max(tokens) as tokens,
     (select count(*) from model_usage where session_key = $1) + count(*) filter (where is_new) as models
   from total`,
  );
