import { Injectable } from '@nestjs/common';
import { invalid } from '../common/errors.js';
import { boundedPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { isOutOfRange, violates } from '../database/failures.js';
import { statement } from '../database/statement.js';
import type { StoredMessage } from './message.entity.js';
import type { MessageRecord } from './message-record.js';
import { COLUMNS } from './messages.repository.js';

/** A message to be brought in, and the bytes of what it says. */
export type SizedMessage = MessageRecord & { bytes: number };

/** Bytes of documents, and messages, in a page. */
const [BYTES, ROWS] = [2 * 1024 * 1024, 1000];

/** Reads histories whole, and writes them into sessions that nobody sees yet. */
@Injectable()
export class MessageTransferRepository {
  constructor(private readonly database: Database) {}

  /** The next messages, oldest first. */
  findPage(session: number, afterSeq: number, upToSeq: number): Promise<StoredMessage[]> {
    return this.database.query(PAGE, [session, afterSeq, upToSeq, ROWS, BYTES]);
  }

  /**
   * Adds the next messages and what they come to, within a transaction that holds the session.
   * @throws DomainError kind `invalid` where they do not fit to those before
   */
  async insert(session: number, messages: SizedMessage[]): Promise<void> {
    const calls = messages.flatMap(({ seq, tool_calls }) =>
      (tool_calls ?? []).map(({ id }) => ({ call_id: id, seq })),
    );
    if (calls.length > 0) await this.database.query(INSERT_CALLS, [session, JSON.stringify(calls)]);
    await this.database.query(INSERT, [session, JSON.stringify(messages)]).catch(refuse);
    const answers = messages.filter(({ tool_call_id }) => tool_call_id !== null);
    if (answers.length === 0) return;
    const [stray] = await this.database.query<{ seq: number }>(FIND_STRAY, [
      session,
      answers.map(({ seq }) => seq),
    ]);
    if (stray) throw misfit(`message ${stray.seq}`, 'answers a call that its tool_call_seq does not make');
  }
}

const misfit = (pointer: string, detail: string) => invalid([{ pointer, detail }]);

function refuse(error: unknown): never {
  if (violates(error, 'messages_id')) throw misfit('message_id', 'is there twice');
  if (violates(error, 'messages_answer')) throw misfit('tool_call_seq', 'a call has two answers');
  if (isOutOfRange(error)) throw misfit('cost_usd', 'the session’s total would be out of range');
  throw error;
}

const PAGE = statement(
  'messageTransfer.page',
  boundedPage(
    `select ${COLUMNS}, m.bytes as size from messages m
     where m.session_key = $1 and m.seq > $2::bigint and m.seq <= $3::bigint order by m.seq limit $4::int`,
    'seq',
    '$5',
  ),
);

const INSERT_CALLS = statement(
  'messageTransfer.insertCalls',
  `insert into tool_calls (session_key, call_id, seq)
   select $1::bigint, c.call_id, c.seq from json_to_recordset($2::json) as c(call_id text, seq bigint)`,
);

const INSERT = statement(
  'messageTransfer.insert',
  `with inserted as (
     insert into messages (
       session_key, seq, message_id, user_id, role, content, message_type, tool_calls, tool_call_id, tool_call_seq, name,
       model, tokens_used, cost_usd, token_count, metadata, origin, bytes, created_at, redacted_at)
     select $1::bigint, m.seq, m.message_id, m.user_id, m.role, m.content, m.message_type, m.tool_calls, m.tool_call_id,
       m.tool_call_seq, m.name, m.model, m.tokens_used, m.cost_usd, m.token_count, m.metadata, m.origin, m.bytes,
       m.created_at, m.redacted_at
     from json_to_recordset($2::json) as m(
       seq bigint, message_id text, user_id text, role text, content json, message_type text, tool_calls json,
       tool_call_id text, tool_call_seq bigint, name text, model text, tokens_used int, cost_usd numeric(20,10),
       token_count int, metadata json, origin json, bytes int, created_at timestamptz(3), redacted_at timestamptz(3))
     returning seq, tokens_used, cost_usd, created_at, tool_calls is not null as calls, origin is not null as is_copy
   ), sum as (
     select count(*) as messages, coalesce(sum(tokens_used), 0) as tokens, coalesce(sum(cost_usd), 0) as cost,
       count(*) filter (where is_copy) as copied_messages,
       coalesce(sum(tokens_used) filter (where is_copy), 0) as copied_tokens,
       coalesce(sum(cost_usd) filter (where is_copy), 0) as copied_cost,
       max(created_at) as last_message_at, max(seq) filter (where calls) as last_call_seq
     from inserted
   )
   update sessions s set
     message_count = s.message_count + sum.messages,
     total_tokens = s.total_tokens + sum.tokens,
     total_cost = s.total_cost + sum.cost,
     copied_messages = s.copied_messages + sum.copied_messages,
     copied_tokens = s.copied_tokens + sum.copied_tokens,
     copied_cost = s.copied_cost + sum.copied_cost,
     last_message_at = greatest(s.last_message_at, sum.last_message_at),
     last_call_seq = coalesce(sum.last_call_seq, s.last_call_seq)
   from sum where s.key = $1`,
);

/** A call is made by an earlier message, which its answer names. */
const FIND_STRAY = statement(
  'messageTransfer.findStray',
  `select m.seq from messages m where m.session_key = $1 and m.seq = any($2::bigint[])
     and not exists (select from tool_calls c
       where c.session_key = $1 and c.call_id = m.tool_call_id and c.seq = m.tool_call_seq)
   limit 1`,
);
