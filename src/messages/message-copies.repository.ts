import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type Statement, statement } from '../database/statement.js';

/** A message to be copied, in the order of the copies. */
export interface Picked {
  source: { key: number; id: string };
  seq: number;
  /** what the copy is called when its session has a message with that id already */
  otherId: string;
}

/** Messages from one seq to another, both among them. */
export interface Range {
  from: number;
  to: number;
}

/** Where a message stands among others. */
export interface Placed {
  seq: number;
  created_at: Date;
  bytes: number;
}

/** Copies history into a session that nobody else sees yet, within a transaction that holds the source's row. */
@Injectable()
export class MessageCopiesRepository {
  constructor(private readonly database: Database) {}

  /** Messages 1 to `upToSeq` with their tool calls, each naming where it is from; the figures of the copy follow. */
  async copy(source: { key: number; id: string }, copy: number, upToSeq: number): Promise<void> {
    await this.database.query(COPY, [source.key, copy, upToSeq, source.id]);
  }

  /** The messages behind a seq, in order. */
  placed(session: number, after: number, limit: number): Promise<Placed[]> {
    return this.database.query(PLACED, [session, after, limit]);
  }

  /**
   * Appends copies of these messages to a session that has copies only. The answer to a call is linked to the copy of
   * that call, which must come before it.
   */
  async append(copy: number, picked: Picked[]): Promise<void> {
    await this.database.query(APPEND, [
      copy,
      picked.map(({ source }) => source.key),
      picked.map(({ source }) => source.id),
      picked.map(({ seq }) => seq),
      picked.map(({ otherId }) => otherId),
    ]);
  }

  /** The seq of a message's copy; null: it has none there. */
  async findCopy(source: number, seq: number, copy: number): Promise<number | null> {
    const [row] = await this.database.query<{ seq: number }>(FIND_COPY, [source, seq, copy]);
    return row?.seq ?? null;
  }

  /**
   * An answer that is in another range than its call, or that alone, or whose call alone, is in one: its seq, and the range of either.
   * @param ranges in order, without overlaps
   */
  async findParted(session: number, ranges: Range[]): Promise<{ seq: number; range: number } | null> {
    const edges = ranges.flatMap(({ from, to }) => [from, to + 1]);
    const [row] = await this.database.query<{ seq: number; range: number }>(FIND_PARTED, [session, edges]);
    return row ?? null;
  }
}

/** What a copy has of its message as it is. A digest of a request is not copied: that request was made to the source. */
const KEPT = `m.user_id, m.role, m.content, m.message_type, m.tool_calls, m.tool_call_id, m.name, m.model, m.tokens_used, m.cost_usd,
       m.token_count, m.metadata, m.bytes, m.created_at, m.redacted_at`;

/** SQL for where a copy is from. */
const originOf = (session: string) =>
  `json_build_object('session_id', ${session}, 'message_id', m.message_id, 'seq', m.seq)`;

/**
 * SQL for copies and all that follows from them: calls, and the figures of their session.
 * @param copies a query, in order, with the `session_key, seq, message_id, tool_call_seq, origin` of each, then what is kept
 * @param calls a query for the `session_key, call_id, seq` of their calls, which may ask `copied`
 */
const copyOf = (name: string, copies: string, calls: string): Statement =>
  statement(
    name,
    `with copied as (
     insert into messages (
       session_key, seq, message_id, tool_call_seq, origin, user_id, role, content, message_type, tool_calls, tool_call_id,
       name, model, tokens_used, cost_usd, token_count, metadata, bytes, created_at, redacted_at)
     ${copies}
     returning session_key, seq, tool_calls, tokens_used, cost_usd, created_at
   ), call as (
     insert into tool_calls (session_key, call_id, seq)
     ${calls}
     returning seq
   ), sum as (
     select session_key, count(*) as messages, coalesce(sum(tokens_used), 0) as tokens, coalesce(sum(cost_usd), 0) as cost,
       max(created_at) as last_message_at
     from copied group by session_key
   )
   update sessions s set
     message_count = s.message_count + sum.messages, total_tokens = s.total_tokens + sum.tokens,
     total_cost = s.total_cost + sum.cost, copied_messages = s.copied_messages + sum.messages,
     copied_tokens = s.copied_tokens + sum.tokens, copied_cost = s.copied_cost + sum.cost,
     last_message_at = greatest(s.last_message_at, sum.last_message_at),
     last_call_seq = greatest(s.last_call_seq, (select max(call.seq) from call))
   from sum where s.key = sum.session_key`,
  );

const COPY = copyOf(
  'messages.copy',
  `select $2::bigint, m.seq, m.message_id, m.tool_call_seq, ${originOf('$4::text')}, ${KEPT}
     from messages m where m.session_key = $1 and m.seq <= $3 order by m.seq`,
  'select $2::bigint, call_id, seq from tool_calls where session_key = $1 and seq <= $3',
);

/**
 * $1 the copy, $2 to $5 what is picked, one beside the other. Which call an answer belongs to is known by its origin: two
 * sources may have the same ids. It is looked for from the newest on, where it mostly is: an id may have been used many times.
 * Nothing may be planned as a walk through the copy, whose size is unknown while it grows: `offset 0` keeps a call from being
 * looked for among all messages, a value instead of `exists` keeps ids from being gathered first.
 */
const APPEND = copyOf(
  'messages.appendCopies',
  `with picked as materialized (
       select target.message_count + p.n as new_seq, p.source_key, p.source_id, p.other_id, m.seq, m.message_id, m.tool_call_seq,
         ${originOf('p.source_id')} as origin, ${KEPT},
         row_number() over (partition by m.message_id order by p.n) > 1 or (
           select true from messages taken where taken.session_key = target.key and taken.message_id = m.message_id) as is_taken
       from sessions target
         cross join unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[])
           with ordinality as p(source_key, source_id, seq, other_id, n)
         join messages m on m.session_key = p.source_key and m.seq = p.seq
       where target.key = $1
     )
     select $1::bigint, m.new_seq, case when m.is_taken then m.other_id else m.message_id end,
       case when m.tool_call_seq is not null then coalesce(
         (select c.new_seq from picked c where c.source_key = m.source_key and c.seq = m.tool_call_seq),
         (select c.seq from tool_calls c cross join lateral (
            select made.origin from messages made where made.session_key = c.session_key and made.seq = c.seq offset 0) made
          where c.session_key = $1 and c.call_id = m.tool_call_id
            and made.origin ->> 'session_id' = m.source_id and (made.origin ->> 'seq')::bigint = m.tool_call_seq
          order by c.seq desc limit 1))
       end, m.origin, ${KEPT}
     from picked m order by m.new_seq`,
  `select copied.session_key, call ->> 'id', copied.seq from copied cross join json_array_elements(copied.tool_calls) call`,
);

const PLACED = statement(
  'messages.placed',
  `select seq, created_at, bytes from messages where session_key = $1 and seq > $2::bigint order by seq limit $3::int`,
);

/** A message has few copies anywhere, a session may have a million messages: `offset 0` has the first looked at, not the second. */
const FIND_COPY = statement(
  'messages.findCopy',
  `select c.seq from messages m
     join sessions s on s.key = m.session_key
     cross join lateral (
       select session_key, seq from messages
       where origin is not null and origin ->> 'session_id' = s.id and origin ->> 'message_id' = m.message_id
       offset 0) c
   where m.session_key = $1 and m.seq = $2 and c.session_key = $3`,
);

/** $2 the edges of ranges: between an odd one and the next is a range. One pass, however many there are. */
const FIND_PARTED = statement(
  'messages.findParted',
  `select seq, case when answer % 2 = 1 then answer / 2 else call / 2 end as range
   from messages m, width_bucket(m.seq, $2::bigint[]) answer, width_bucket(m.tool_call_seq, $2::bigint[]) call
   where m.session_key = $1 and m.tool_call_seq is not null and answer <> call and (answer % 2 = 1 or call % 2 = 1)
   order by m.seq limit 1`,
);
