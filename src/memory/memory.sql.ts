import { roleIn } from '../access/access.sql.js';
import { statusOf } from '../sessions/session.sql.js';

/** SQL for: an entry has not expired. */
export const isLive = (e: string) => `(${e}.expires_at is null or ${e}.expires_at > clock_timestamp())`;

/** Of an entry `e`, as it is answered. */
export const COLUMNS = `
  e.key, e.memory_id, e.name, e.memory_type, e.value, e.content, e.metadata, e.importance, e.version, e.expires_at,
  e.created_by, e.created_at, e.updated_at`;

/** $1 session id, $2 the caller */
export const HEADER = `
  with header as (
    select s.key as session_key, s.id as header_id, s.user_id as owner, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role
    from sessions s where s.id = $1 and s.purged_at is null)`;

/** A session's entries, beside its header. */
export const ofSession = `
  select ${COLUMNS}, e.bytes as size, 0 as rank, 'session' as scope, header.owner as user_id, header.header_id as session_id
  from memory_entries e where e.space_key = header.session_key and ${isLive('e')}`;

/** …of the caller, or for a service of the session's owner; what the session has under the same key stands before it. */
export const ofUserBeside = `
  select ${COLUMNS}, e.bytes as size, 1 as rank, 'user' as scope, u.id as user_id, null as session_id
  from users u join memory_entries e on e.space_key = u.key
  where u.id = coalesce($2, header.owner) and ${isLive('e')}
    and not exists (select from memory_entries own
      where own.space_key = header.session_key and own.name = e.name and ${isLive('own')})`;

/** $1 the user */
export const ofUser = `
  select ${COLUMNS}, e.bytes as size, 0 as rank, 'user' as scope, $1::text as user_id, null as session_id
  from memory_entries e where e.space_key = (select key from users where id = $1) and ${isLive('e')}`;

export const READABLE = `header.role is not null and header.status <> 'deleted'`;
