import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import { PERMISSIONS, type Role } from '../access/roles.js';
import { boundedPage, COUNT_CAP, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import { appendStatement, EXPLAIN_APPEND } from './append.sql.js';
import type { Message, StoredMessage } from './message.entity.js';
import type { PreparedAppend } from './prepare.js';

/** What the database decided about an appended message. */
export type Appended = Pick<Message, 'seq' | 'user_id' | 'tool_call_seq' | 'created_at'>;

/** What the session said when an append did not go through. */
export interface Explanation {
  /** the session's own, which no other gets with its id */
  key: number;
  role: Role | null;
  status: string;
  busy_job: string | null;
  /** crashed by silence, and the next write may recover it */
  is_recoverable: boolean;
  message_count: number;
  known: { message_id: string; same: boolean }[];
  calls: { call_id: string; seq: number | null; answered: boolean }[];
}

/** A session as its history is read. */
export interface Header {
  key: number;
  role: Role | null;
  status: string;
  message_count: number;
}

/** Which messages of a session, in which order; both bounds are exclusive. */
export interface Range {
  descending: boolean;
  afterSeq: number;
  beforeSeq: number | null;
  role: string | null;
  messageType: string | null;
  /** rows to pass over: by seq arithmetic when nothing is filtered, else by walking */
  offset: number;
  isByOffset: boolean;
  limit: number;
}

export type ReadMessage = StoredMessage & Counted;

/** The rows of messages. */
@Injectable()
export class MessagesRepository {
  constructor(private readonly database: Database) {}

  /** One statement, one round trip. No rows: something forbids it; a unique violation is PostgreSQL's own error. */
  async append(id: string, user: string | null, append: PreparedAppend): Promise<Appended[]> {
    const { expectedSeq, messages, title, calls, answered } = append;
    const hasCalls = calls.length > 0 || answered.length > 0;
    const rows = await this.database.query<Appended>(
      appendStatement({ title: title !== null, calls: hasCalls }),
      [
        ...[id, user, PERMISSIONS.work, expectedSeq, JSON.stringify(messages), messages.length],
        ...(title ? [title.text, title.position] : []),
        ...(hasCalls
          ? [JSON.stringify(answered), JSON.stringify(calls), calls.at(-1)?.position ?? null]
          : []),
      ],
    );
    return rows.sort((a, b) => a.seq - b.seq);
  }

  async explain(id: string, user: string | null, append: PreparedAppend): Promise<Explanation | null> {
    const values = [id, user, JSON.stringify(append.messages), append.answered];
    const [row] = await this.database.query<Explanation>(EXPLAIN_APPEND, values);
    return row ?? null;
  }

  /** The session's header, and a page of its messages when the caller may read them: one statement. */
  async findPage(
    id: string,
    user: string | null,
    range: Range,
  ): Promise<{ header: Header | null; rows: ReadMessage[] }> {
    const isFiltered = range.role !== null || range.messageType !== null;
    const rows = await this.database.query<HeaderColumns & ReadMessage>(
      range.descending ? NEWEST_FIRST : OLDEST_FIRST,
      [
        ...[id, user, PERMISSIONS.read, range.afterSeq, range.beforeSeq, range.role, range.messageType],
        ...[
          isFiltered ? 0 : range.offset,
          isFiltered ? range.offset : 0,
          range.limit + 1,
          pageBytes(range.isByOffset),
        ],
      ],
    );
    const [first] = rows;
    if (!first) return { header: null, rows: [] };
    const header = headerOf(first);
    return { header, rows: first.seq ? rows : [] };
  }

  /** How many match, counted up to the cap. */
  async count(session: number, range: Range): Promise<{ count: number; capped: boolean }> {
    const values = [session, range.afterSeq, range.beforeSeq, range.role, range.messageType];
    const [row] = await this.database.query<{ count: number }>(COUNT, values);
    return { count: Math.min(row!.count, COUNT_CAP), capped: row!.count > COUNT_CAP };
  }

  async find(
    id: string,
    user: string | null,
    messageId: string,
  ): Promise<{ header: Header | null; row: StoredMessage | null }> {
    const [row] = await this.database.query<HeaderColumns & StoredMessage>(FIND, [id, user, messageId]);
    if (!row) return { header: null, row: null };
    const header = headerOf(row);
    return { header, row: row.seq ? row : null };
  }

  /** Stored messages by their ids, in order of seq. */
  findByIds(session: number, messageIds: string[]): Promise<StoredMessage[]> {
    return this.database.query<StoredMessage>(FIND_BY_IDS, [session, messageIds]);
  }

  /** Removes at most `limit` messages, and as many tool calls, of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    const messages = await this.database.query(PURGE_MESSAGES, [key, limit]);
    return messages.length + (await this.database.query(PURGE_CALLS, [key, limit])).length;
  }
}

interface HeaderColumns {
  session_key: number;
  caller_role: Role | null;
  status: string;
  message_count: number;
}

const headerOf = ({ session_key, caller_role, status, message_count }: HeaderColumns): Header => ({
  ...{ key: session_key, role: caller_role, status, message_count },
});

/** Of a row `m`, as it is answered. */
export const COLUMNS = `
  m.seq, m.message_id, m.user_id, m.role, m.content, m.message_type, m.tool_calls, m.tool_call_id, m.tool_call_seq,
  m.name, m.model, m.tokens_used, m.cost_usd, m.token_count, m.metadata, m.origin, m.created_at, m.redacted_at`;

/** $1 session id, $2 user */
const HEADER = `
  select s.key, s.message_count, ${statusOf('s')} as status, ${roleIn('s', '$2')} as caller_role
  from sessions s where s.id = $1 and s.purged_at is null`;

const FILTERS = (role: string, type: string) => `
  (${role}::text is null or m.role = ${role}) and (${type}::text is null or m.message_type = ${type})`;

/**
 * A lateral join to the one header keeps the page's order.
 * $3 roles that may read, $4 after seq, $5 before seq, $6 role, $7 type, $8 seqs to skip, $9 rows to walk over, $10 limit, $11 bytes
 */
const page = (bounds: string, order: string) => `
  with header as (${HEADER})
  select header.key as session_key, header.caller_role, header.status, header.message_count, page.*
  from header left join lateral (${boundedPage(
    `select ${COLUMNS}, m.bytes as size from messages m
     where m.session_key = header.key and header.status <> 'deleted' and header.caller_role = any($3::text[])
       and ${bounds} and ${FILTERS('$6', '$7')}
     order by m.${order} limit $10::int offset $9::bigint`,
    order,
    '$11',
  )}) page on true`;

const OLDEST_FIRST = statement(
  'messages.oldestFirst',
  page('m.seq > $4::bigint + $8::bigint and ($5::bigint is null or m.seq < $5)', 'seq asc'),
);

const NEWEST_FIRST = statement(
  'messages.newestFirst',
  page('m.seq > $4::bigint and m.seq < least($5::bigint, header.message_count + 1) - $8::bigint', 'seq desc'),
);

const COUNT = statement(
  'messages.count',
  `select count(*) from (
     select from messages m
     where m.session_key = $1 and m.seq > $2::bigint and ($3::bigint is null or m.seq < $3) and ${FILTERS('$4', '$5')}
     limit ${COUNT_CAP + 1}) counted`,
);

const FIND = statement(
  'messages.find',
  `with header as (${HEADER})
   select header.key as session_key, header.caller_role, header.status, header.message_count, ${COLUMNS}
   from header left join messages m on m.session_key = header.key and m.message_id = $3`,
);

const FIND_BY_IDS = statement(
  'messages.findByIds',
  `select ${COLUMNS} from messages m
   where m.session_key = $1 and m.message_id = any($2::text[])
   order by m.seq`,
);

const PURGE_MESSAGES = statement(
  'messages.purge',
  `delete from messages where session_key = $1 and seq in
     (select seq from messages where session_key = $1 order by seq limit $2)
   returning 1`,
);

const PURGE_CALLS = statement(
  'messages.purgeCalls',
  `delete from tool_calls where session_key = $1 and (call_id, seq) in
     (select call_id, seq from tool_calls where session_key = $1 limit $2)
   returning 1`,
);
