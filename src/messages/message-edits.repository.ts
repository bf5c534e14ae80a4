import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from '../events/events.sql.js';
import type { StoredMessage } from './message.entity.js';
import { COLUMNS } from './messages.repository.js';

/** What a caller reports of a message, as it is to be stored. */
export interface Report extends Pick<StoredMessage, 'metadata' | 'tokens_used' | 'cost_usd'> {
  bytes: number;
}

/** Changes to single messages, within a transaction that holds the session's row. */
@Injectable()
export class MessageEditsRepository {
  constructor(private readonly database: Database) {}

  /** Stores a report; the session's totals follow, in PostgreSQL's arithmetic, and what of them is copied. */
  async report(key: number, seq: number, report: Report, events: NewEvent[]): Promise<StoredMessage> {
    const { metadata, tokens_used, cost_usd, bytes } = report;
    const values = [JSON.stringify(metadata), tokens_used, cost_usd, bytes, JSON.stringify(events)];
    const [row] = await this.database.query<StoredMessage>(REPORT, [key, seq, ...values]);
    return row!;
  }

  /** Takes away what was said and keeps where it stood; with it a title that was made from it. */
  async redact(key: number, seq: number, events: NewEvent[]): Promise<StoredMessage> {
    const [row] = await this.database.query<StoredMessage>(REDACT, [key, seq, JSON.stringify(events)]);
    return row!;
  }

  /** How many copies of a message there are in other sessions. */
  async countCopies(session: string, messageId: string): Promise<number> {
    const [row] = await this.database.query<{ copies: number }>(COUNT_COPIES, [session, messageId]);
    return row!.copies;
  }
}

/** Copies that still say something, made right of this message. */
const COUNT_COPIES = statement(
  'messages.countCopies',
  `select count(*)::int as copies from messages m join sessions s on s.key = m.session_key
   where m.origin is not null and m.origin ->> 'session_id' = $1 collate "C" and m.origin ->> 'message_id' = $2 collate "C"
     and m.redacted_at is null and s.purged_at is null`,
);

const REPORT = statement(
  'messages.report',
  `with before as (
     select coalesce(tokens_used, 0) as tokens, coalesce(cost_usd, 0) as cost, (origin is not null)::int as copied
     from messages where session_key = $1 and seq = $2
   ), m as (
     update messages set metadata = $3::json, tokens_used = $4, cost_usd = $5, bytes = $6
     where session_key = $1 and seq = $2
     returning *
   ), s as (
     update sessions s set
       total_tokens = s.total_tokens + coalesce(m.tokens_used, 0) - before.tokens,
       total_cost = s.total_cost + coalesce(m.cost_usd, 0) - before.cost,
       copied_tokens = s.copied_tokens + before.copied * (coalesce(m.tokens_used, 0) - before.tokens),
       copied_cost = s.copied_cost + before.copied * (coalesce(m.cost_usd, 0) - before.cost),
       ${numberEvents('s', 'jsonb_array_length($7::jsonb)')}
     from m, before where s.key = $1
     returning s.*
   ), e as (${insertEventList('s', '$7')})
   select ${COLUMNS} from m`,
);

/** Of a call its id is left, so that the answer still finds it. The summary is made anew without it (see `context/`). */
const REDACT = statement(
  'messages.redact',
  `with m as (
     update messages m set
       content = null, name = null, metadata = '{}', request_digest = null, bytes = 0, redacted_at = clock_timestamp(),
       tool_calls = (select json_agg(json_build_object('id', call -> 'id')) from json_array_elements(m.tool_calls) call)
     where session_key = $1 and seq = $2
     returning *
   ), s as (
     update sessions s set
       title_seq = nullif(s.title_seq, $2),
       ${numberEvents('s', 'jsonb_array_length($3::jsonb)')}
     where s.key = $1
     returning s.*
   ), details as (
     update session_details d set title = case when s.title_seq is null then '' else d.title end, session_summary = ''
     from s where d.key = $1
   ), e as (${insertEventList('s', '$3')})
   select ${COLUMNS} from m`,
);
