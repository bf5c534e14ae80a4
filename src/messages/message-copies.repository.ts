import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Copies history into a session that nobody else sees yet, within a transaction that holds the source's row. */
@Injectable()
export class MessageCopiesRepository {
  constructor(private readonly database: Database) {}

  /** Messages 1 to `upToSeq` with their tool calls, each naming where it is from; the figures of the copy follow. */
  async copy(source: { key: number; id: string }, copy: number, upToSeq: number): Promise<void> {
    await this.database.query(COPY, [source.key, copy, upToSeq, source.id]);
  }
}

/** A digest of a request is not copied: that request was made to the source. */
const COPY = statement(
  'messages.copy',
  `with copied as (
     insert into messages (
       session_key, seq, message_id, user_id, role, content, message_type, tool_calls, tool_call_id, tool_call_seq, name,
       model, tokens_used, cost_usd, token_count, metadata, origin, bytes, created_at, redacted_at)
     select $2::bigint, m.seq, m.message_id, m.user_id, m.role, m.content, m.message_type, m.tool_calls, m.tool_call_id,
       m.tool_call_seq, m.name, m.model, m.tokens_used, m.cost_usd, m.token_count, m.metadata,
       json_build_object('session_id', $4::text, 'message_id', m.message_id, 'seq', m.seq),
       m.bytes, m.created_at, m.redacted_at
     from messages m where m.session_key = $1 and m.seq <= $3
     order by m.seq
     returning tokens_used, cost_usd, created_at
   ), call as (
     insert into tool_calls (session_key, call_id, seq)
     select $2::bigint, c.call_id, c.seq from tool_calls c where c.session_key = $1 and c.seq <= $3
     returning seq
   ), sum as (
     select count(*) as messages, coalesce(sum(tokens_used), 0) as tokens, coalesce(sum(cost_usd), 0) as cost,
       max(created_at) as last_message_at
     from copied
   )
   update sessions s set
     message_count = sum.messages, total_tokens = sum.tokens, total_cost = sum.cost,
     copied_messages = sum.messages, copied_tokens = sum.tokens, copied_cost = sum.cost,
     last_message_at = sum.last_message_at,
     last_call_seq = (select coalesce(max(call.seq), 0) from call)
   from sum where s.key = $2`,
);
