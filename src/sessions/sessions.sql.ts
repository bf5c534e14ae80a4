import { isUnmoved, roleIn, wasGiven } from '../access/access.sql.js';
import { statement } from '../database/statement.js';
import { CURRENT_TX, insertEventList, numberEvents } from '../events/events.sql.js';
import { type Clock, hasLapsed, statusOf } from './session.sql.js';

/**
 * SQL for both rows of a session as the API reads them.
 * @param user the parameter with the user's name, null for a service
 */
export const sessionColumns = (user: string, clock: Clock = 'now()') => `
  s.key, s.id, s.user_id, s.agent_id, s.client_id, s.session_type, s.runtime_backend, s.state, s.archived_at,
  s.deleted_at, s.deleted_reason, s.busy_job, s.legal_hold, s.version + ${hasLapsed('s', clock)}::int as version, s.sharing, s.message_count, s.total_tokens, s.total_cost,
  s.title_seq, s.timeout_minutes, s.expires_at, s.heartbeat_timeout_seconds, s.auto_recover, s.recoveries, s.created_at,
  s.last_activity_at, d.title, d.description, d.tags, d.metadata, d.context, d.configuration,
  d.conversation_data, d.checkpoint, d.checkpoint_n, d.runtime_metadata, d.session_summary, d.lineage, d.collection, d.updated_at,
  ${statusOf('s', clock)} as status, ${roleIn('s', user)} as role`;

export const FIND = statement(
  'sessions.find',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.id = $1 and s.purged_at is null`,
);

export const FIND_ALL = statement(
  'sessions.findAll',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.id = any($1::text[]) and s.purged_at is null`,
);

export const FIND_BY_KEY = statement(
  'sessions.findByKey',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.key = $1 and s.purged_at is null`,
);

/** The status is worked out when both rows are held. */
export const LOCK = statement(
  'sessions.lock',
  `with s as materialized (select * from sessions where id = $1 and purged_at is null for update),
   d as materialized (select * from session_details where key = (select key from s) for update),
   at as materialized (select clock_timestamp() as now from d)
   select ${sessionColumns('$2', 'at.now')}, ${isUnmoved('s', '$2')} as is_unmoved from s join d on d.key = s.key cross join at`,
);

export const INSERT = statement(
  'sessions.insert',
  `with at as materialized (select clock_timestamp()::timestamptz(3) as now),
   s as (
     insert into sessions (
       id, user_id, agent_id, client_id, session_type, runtime_backend, state, archived_at, legal_hold, title_seq,
       timeout_minutes, expires_at, heartbeat_timeout_seconds, overdue_at, auto_recover, recoveries, version, message_count, total_tokens, total_cost, last_call_seq,
       event_seq, event_tx, created_at, last_activity_at, completed_at)
     select $1, $2, $3, $4, $5, $6, $7, case when $8 then at.now end, $9, $10, $11::int,
       case when $7 in ('active', 'paused') and not $8 then at.now + make_interval(mins => $11::int) end,
       $23::int, case when $7 = 'active' and not $8 then at.now + make_interval(secs => $23::int) end, $24::boolean, 0, 1, 0, 0, 0, 0, jsonb_array_length($21::jsonb), ${CURRENT_TX}, at.now, at.now, case when $7 = 'completed' then at.now end
     from at
     on conflict (id) do nothing
     returning *
   ), d as (
     insert into session_details (
       key, user_id, title, description, tags, metadata, context, configuration, conversation_data, checkpoint,
       runtime_metadata, checkpoint_n, session_summary, lineage, wants_collection, created_at, updated_at)
     select s.key, s.user_id, $12, $13, $14::text[], $15::jsonb, $16::json, $17::json, $18::json, $19::json, $20::json,
       case when $19::json is null then 0 else 1 end, '', $25::json, $26::boolean, s.created_at, s.created_at
     from s
     returning *
   ), c as (
     insert into checkpoints (session_key, n, checkpoint, metadata, created_at)
     select s.key, 1, $19::json, '{}', s.created_at from s where $19::json is not null
   ), e as (${insertEventList('s', '$21')})
   select ${sessionColumns('$22')} from s join d on d.key = s.key`,
);

export const save = (sets: string, detailSets: string) => `
  with changed as (
    update sessions s set ${sets ? `${sets},` : ''}
      version = s.version + 1,
      expires_at = clock_timestamp() + make_interval(mins => $4::int),
      overdue_at = clock_timestamp() + make_interval(secs => $5::int),
      ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
    where s.key = $1
    returning s.*
  ), d as (
    update session_details set ${detailSets} where key = $1 returning *
  ), e as (${insertEventList('changed', '$3')}),
  s as (select * from changed)
  select ${sessionColumns('$2')} from s join d on d.key = s.key`;

/** Events of a session that changes nothing in its row but their numbers; of one that is still being made nobody is told. */
export const TELL = statement(
  'sessions.tell',
  `with s as (
     update sessions s set ${numberEvents('s', 'jsonb_array_length($2::jsonb)')} where s.key = $1 and s.purged_at is null returning s.*
   ) ${insertEventList('s', '$2')}`,
);

export const MOST_RECENT = statement(
  'sessions.mostRecent',
  `select s.id from sessions s
   where ($1::text is null or s.user_id = $1) and ($2::text is null or s.agent_id = $2)
     and ($3::text is null or s.client_id = $3) and ($4::text is null or s.session_type = $4)
     and s.purged_at is null and ${statusOf('s')} in ('active', 'paused') and not ${wasGiven('s')}
   order by s.last_activity_at desc, s.key desc
   limit 1
   for update`,
);

export const WAS_GIVEN = statement(
  'sessions.wasGiven',
  `select ${wasGiven('s')} as was_given from sessions s where s.key = $1`,
);

export const MARK_PURGED = statement(
  'sessions.markPurged',
  `with s as (
     update sessions s set id = $2, purged_at = clock_timestamp(),
       ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
     where s.key = $1
     returning s.*
   ) ${insertEventList('s', '$3')}`,
);

export const LOCK_PURGED = statement(
  'sessions.lockPurged',
  'select key from sessions where purged_at <= clock_timestamp() order by key limit 1 for update skip locked',
);

/** Each is held for this transaction unless another process holds it. */
export const LOCK_DUE = statement(
  'sessions.lockDue',
  `select ${sessionColumns('$2')} from sessions s join session_details d on d.key = s.key
   where s.key in (
     (select key from sessions where expires_at <= now() and deleted_at is null and purged_at is null and not legal_hold and busy_job is null
      order by expires_at limit $1)
     union
     (select key from sessions where overdue_at <= now() and deleted_at is null and purged_at is null and busy_job is null
      order by overdue_at limit $1))
   for update of s skip locked`,
);

export const REMOVE = statement(
  'sessions.remove',
  'with d as (delete from session_details where key = $1) delete from sessions where key = $1',
);

/** …one that is being made too. */
export const HOLD = statement(
  'sessions.hold',
  'select from sessions where key = $1 and (purged_at is null or purged_at > clock_timestamp()) for update',
);

export const IS_HIDDEN = statement(
  'sessions.isHidden',
  'select from sessions where id = $1 and purged_at is not null',
);

/** …unless a message that it is from has been redacted meanwhile. */
export const STORE_SUMMARY = statement(
  'sessions.storeSummary',
  `update session_details set session_summary = $2
   where key = $1 and not exists (
     select from messages m where m.session_key = $1 and m.seq = any($3::bigint[]) and m.redacted_at is not null)
     and $5::bigint = (
       select count(*) from messages m where m.session_key = $1 and m.seq <= $4::bigint and m.redacted_at is not null)`,
);

export const NOTE_COLLECTION = statement(
  'sessions.noteCollection',
  'update session_details set collection = $2, wants_collection = false where key = $1',
);

export const QUEUE = statement('sessions.queue', 'select pg_advisory_xact_lock(hashtextextended($1, 0))');
