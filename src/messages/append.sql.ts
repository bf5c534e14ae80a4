import { roleHeld, roleIn } from '../access/access.sql.js';
import { statement } from '../database/statement.js';
import { insertEvents, numberEvents } from '../events/events.sql.js';
import { isOpen, isRecoverable, renewActivity, statusOf } from '../sessions/session.sql.js';

/** What few requests have: a statement without them is planned and started in half the time. */
export interface AppendParts {
  /** a message that a title could be made from */
  title: boolean;
  /** tool calls, or answers to them */
  calls: boolean;
}

/**
 * Appends messages in one statement: access, state, sequence, counters, expiry, tool calls, title, events.
 *
 * Under the lock of the session's row everything read from that row is fresh, but a subquery still reads the
 * snapshot from before a wait. So what other rows must guarantee, unique indexes do (`messages_id`: exactly once;
 * `messages_answer`: one answer a call). Which call an answer belongs to is looked up in the snapshot, and
 * `last_call_seq` proves it still holds: had a call been made during the wait, the fresh value would differ from the
 * snapshot's, no row comes back, and the append is tried again.
 *
 * Lists come as JSON: of an array PostgreSQL guesses the length, and would plan the statement anew each time.
 *
 * $1 session id, $2 user (null: service), $3 roles that may, $4 expected seq, $5 messages (json), $6 how many;
 * with a title: its text, position of the message it is made from;
 * with calls: ids of earlier calls that are answered (json), calls made (json), position of the last message with calls
 */
function append(parts: AppendParts) {
  const [titleText, titlePosition] = ['$7', '$8::int'];
  const [answered, made, lastMade] = parts.title
    ? ['$9::json', '$10::json', '$11::int']
    : ['$7::json', '$8::json', '$9::int'];
  const title = (sql: string) => (parts.title ? sql : '');
  const calls = (sql: string) => (parts.calls ? sql : '');
  return statement(
    `messages.append${title('.title')}${calls('.calls')}`,
    `with message as (
       select * from json_to_recordset($5::json) as m(
         position int, message_id text, request_digest uuid, user_id text, role text, content json, message_type text, tool_calls json,
         tool_call_id text, answers_position int, name text, model text, tokens_used int, cost_usd numeric(20,10),
         metadata json, bytes int)
     ), ${calls(`answered as (
       select call.call_id, (
         select max(c.seq) from tool_calls c where c.session_key = s.key and c.call_id = call.call_id) as seq
       from json_array_elements_text(${answered}) as call(call_id), sessions s
       where s.id = $1
     ), `)}target as (
       update sessions s set
         message_count = s.message_count + $6::int,
         total_tokens = s.total_tokens + (select coalesce(sum(tokens_used), 0) from message),
         total_cost = s.total_cost + (select coalesce(sum(cost_usd), 0) from message),
         last_message_at = greatest(s.last_message_at, clock_timestamp()),
         ${calls(`last_call_seq = coalesce(s.message_count + ${lastMade}, s.last_call_seq),`)}
         ${title(`title_seq = coalesce(s.title_seq, s.message_count + ${titlePosition}),`)}
         ${renewActivity('s')},
         ${numberEvents('s', parts.title ? 'case when s.title_seq is null then 2 else 1 end' : '1')}
       where s.id = $1
         and s.purged_at is null
         and s.busy_job is null
         and ${isOpen('s')}
         and (${roleHeld('s', '$2')}) = any($3::text[])
         and ($4::bigint is null or s.message_count = $4)
         ${calls(`and (json_array_length(${answered}) = 0 or (
           s.last_call_seq = (select snapshot.last_call_seq from sessions snapshot where snapshot.id = $1)
           and not exists (select from answered where seq is null)))`)}
       returning s.*, s.message_count - $6::int as base ${title(', s.title_seq > s.message_count - $6::int as is_titled')}
     ), ${calls(`call as (
       insert into tool_calls (session_key, call_id, seq)
       select target.key, c.call_id, target.base + c.position
       from target, json_to_recordset(${made}) as c(call_id text, position int)
     ), `)}${title(`title as (
       update session_details d set title = ${titleText} from target where d.key = target.key and target.is_titled
     ), `)}event as (
       ${insertEvents(`
       select target.key, target.event_seq ${title('- target.is_titled::int')}, 'message.appended',
              jsonb_build_object('from_seq', target.base + 1, 'to_seq', target.message_count),
              target.event_tx, target.last_message_at
       from target
       ${title(`union all
       select target.key, target.event_seq, 'session.updated',
              jsonb_build_object('agent_id', target.agent_id, 'status', ${statusOf('target')}, 'updates', array['title']),
              target.event_tx, target.last_message_at
       from target where target.is_titled`)}`)}
     )
     insert into messages (
       session_key, seq, message_id, request_digest, user_id, role, content, message_type, tool_calls, tool_call_id,
       tool_call_seq, name, model, tokens_used, cost_usd, metadata, bytes, created_at)
     select target.key, target.base + m.position, m.message_id, m.request_digest, coalesce(m.user_id, target.user_id),
       m.role, m.content, m.message_type, m.tool_calls, m.tool_call_id,
       ${parts.calls ? 'coalesce(target.base + m.answers_position, (select a.seq from answered a where a.call_id = m.tool_call_id))' : 'null'},
       m.name, m.model, m.tokens_used, m.cost_usd, m.metadata, m.bytes, target.last_message_at
     from target, message m
     returning seq, user_id, tool_call_seq, created_at`,
  );
}

const PLAIN = append({ title: false, calls: false });
const TITLED = append({ title: true, calls: false });
const CALLING = append({ title: false, calls: true });
const CALLING_TITLED = append({ title: true, calls: true });

/** The append of a request that has these parts. */
export const appendStatement = ({ title, calls }: AppendParts) =>
  calls ? (title ? CALLING_TITLED : CALLING) : title ? TITLED : PLAIN;

/**
 * Why an append got no row, or met a unique index: one read of everything that could be the reason. A known id is
 * the same message again if it is redacted, if its request was the same, or where the caller chose the id, if what it says is the same.
 *
 * $1 session id, $2 user, $3 messages as above, $4 ids of earlier calls that are answered
 */
export const EXPLAIN_APPEND = statement(
  'messages.explainAppend',
  `select s.key, s.message_count, s.busy_job, ${statusOf('s')} as status, ${isRecoverable('s')} as is_recoverable,
     ${roleIn('s', '$2')} as role,
     (select coalesce(json_agg(json_build_object('message_id', k.message_id, 'same', k.same)), '[]') from (
        select stored.message_id, case
            when stored.redacted_at is not null then true
            when given.request_digest is not null then stored.request_digest is not distinct from given.request_digest
            else stored.role = given.role
              and stored.content::jsonb is not distinct from given.content::jsonb
              and stored.tool_calls::jsonb is not distinct from given.tool_calls::jsonb
              and stored.tool_call_id is not distinct from given.tool_call_id
              and stored.name is not distinct from given.name
          end as same
        from json_to_recordset($3::json) as given(
          message_id text, request_digest uuid, role text, content json, tool_calls json, tool_call_id text, name text)
        join messages stored on stored.session_key = s.key and stored.message_id = given.message_id) k) as known,
     (select coalesce(json_agg(json_build_object('call_id', call.call_id, 'seq', made.seq, 'answered', answer.seq is not null)), '[]')
        from unnest($4::text[]) as call(call_id)
        left join lateral (
          select c.seq from tool_calls c where c.session_key = s.key and c.call_id = call.call_id
          order by c.seq desc limit 1) made on true
        left join messages answer on answer.session_key = s.key and answer.tool_call_seq = made.seq
          and answer.tool_call_id = call.call_id) as calls
   from sessions s
   where s.id = $1 and s.purged_at is null`,
);
