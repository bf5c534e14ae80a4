import { Injectable } from '@nestjs/common';
import { boundedPage, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { FoundMessage, MessageRef } from './message.view.js';
import { COLUMNS } from './messages.repository.js';

/** Messages by the keys of their sessions, for rooms that have made sure that the caller may read them. */
@Injectable()
export class History {
  constructor(private readonly database: Database) {}

  /** Messages with so many before and after each, as far as they fit in a page; what was asked for itself goes first. */
  around(refs: MessageRef[], neighbours: number): Promise<FoundMessage[]> {
    const values = [refs.map(({ session }) => session), refs.map(({ seq }) => seq), neighbours];
    return this.database.query(FIND_AROUND, [...values, pageBytes(false)]);
  }

  /** The newest messages before a seq, newest first; at most so many, and so many bytes. */
  before(session: number, before: number, limit: number): Promise<(FoundMessage & Counted)[]> {
    return this.database.query(FIND_BEFORE, [session, before, limit, pageBytes(false)]);
  }

  /** Messages by their seq, with the answers to their calls up to `count`. */
  calls(session: number, seqs: number[], count: number): Promise<FoundMessage[]> {
    return this.database.query(FIND_CALLS, [session, seqs, count]);
  }

  /** What was said to hold for all of a session, and what its user said first; at most so many. */
  pinned(session: number, count: number, limit: number): Promise<FoundMessage[]> {
    return this.database.query(FIND_PINNED, [session, count, limit]);
  }

  /** Stores what messages count in a window. */
  async storeCounts(session: number, counts: { seq: number; tokens: number }[]): Promise<void> {
    await this.database.query(STORE_COUNTS, [session, JSON.stringify(counts)]);
  }

  /** The models that messages name, by session, each in order of their names. */
  async models(sessions: number[]): Promise<Map<number, string[]>> {
    const rows = await this.database.query<{ key: number; models: string[] }>(MODELS, [sessions]);
    return new Map(rows.map(({ key, models }) => [key, models]));
  }
}

const FIND_AROUND = statement(
  'messages.findAround',
  boundedPage(
    `select m.session_key, ${COLUMNS}, m.bytes as size, near.distance, near.n from (
       select r.session_key, s as seq, min(abs(s - r.seq)) as distance, min(r.n) as n
       from unnest($1::bigint[], $2::bigint[]) with ordinality as r(session_key, seq, n),
         generate_series(r.seq - $3::int, r.seq + $3::int) s
       group by 1, 2
     ) near join messages m on m.session_key = near.session_key and m.seq = near.seq`,
    'distance > 0, n, distance, seq',
    '$4',
  ),
);

const FIND_BEFORE = statement(
  'messages.findBefore',
  boundedPage(
    `select m.session_key, ${COLUMNS}, m.bytes as size from messages m
     where m.session_key = $1 and m.seq < $2::bigint
     order by m.seq desc limit $3::int`,
    'seq desc',
    '$4',
  ),
);

const FIND_CALLS = statement(
  'messages.findCalls',
  `select m.session_key, ${COLUMNS} from messages m
   where m.session_key = $1 and m.seq <= $3::bigint and m.seq = any($2::bigint[])
   union all
   select m.session_key, ${COLUMNS} from messages m
   where m.session_key = $1 and m.seq <= $3::bigint and m.tool_call_seq = any($2::bigint[])`,
);

const FIND_PINNED = statement(
  'messages.findPinned',
  `(select m.session_key, ${COLUMNS} from messages m
    where m.session_key = $1 and m.seq <= $2::bigint and m.role in ('system', 'developer') order by m.seq limit $3::int)
   union all
   (select m.session_key, ${COLUMNS} from messages m
    where m.session_key = $1 and m.seq <= $2::bigint and m.role = 'user' order by m.seq limit 1)`,
);

const STORE_COUNTS = statement(
  'messages.storeCounts',
  `update messages m set token_count = c.tokens
   from json_to_recordset($2::json) as c(seq bigint, tokens int)
   where m.session_key = $1 and m.seq = c.seq and m.token_count is null and m.redacted_at is null`,
);

const MODELS = statement(
  'messages.models',
  `select m.session_key as key, array_agg(distinct m.model order by m.model) as models from messages m
   where m.session_key = any($1::bigint[]) and m.model is not null
   group by m.session_key`,
);
