import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type Statement, statement } from '../database/statement.js';

/** Where in the history of all sessions something stands. */
export type Place = [session: number, seq: number];

/** A message that a user wrote, or a copy that names what he had. */
export interface Trace {
  session_key: number;
  seq: number;
  is_his: boolean;
  /** older than what is erased */
  is_old: boolean;
}

/** What stands instead of the names that are erased: of the user, and out of which the others are made. */
export interface Instead {
  user: string;
  token: string;
  salt: string;
  /** a regular expression for ids that tell of him */
  pattern: string;
}

export interface Redacted {
  seq: number;
  message_id: string;
  was_redacted: boolean;
}

/** Messages of one user in sessions of others, and their copies. Found by walking all there are: an index would cost every append. */
@Injectable()
export class MessageErasureRepository {
  constructor(private readonly database: Database) {}

  /** At most `most` traces among the next `limit` messages of sessions up to a key; `last`: how far was looked, null at the end. */
  async find(
    { user, pattern }: Instead,
    after: Place,
    upTo: number,
    since: string,
    limit: number,
    most: number,
  ) {
    const [page] = await this.database.query<{ last: Place | null; traces: Trace[] }>(FIND, [
      ...[...after, user, since, limit, most, upTo, pattern],
    ]);
    return page!;
  }

  /** Takes away what was said, and by whom, within a transaction that holds the session. */
  redact(session: number, seqs: number[], { user, token, salt, pattern }: Instead): Promise<Redacted[]> {
    return this.database.query(REDACT, [session, seqs, user, salt, pattern, token]);
  }

  /** Takes away of what session of his a copy is; answers how many do not name it any more. */
  async unname(session: number, seqs: number[], { user, salt, pattern }: Instead): Promise<number> {
    return (await this.database.query(UNNAME, [session, seqs, user, salt, pattern])).length;
  }

  /** Those of the ids that no message of the session has. */
  async without(session: number, ids: string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    return (await this.database.query<{ id: string }>(WITHOUT, [session, ids])).map(({ id }) => id);
  }
}

/** SQL for: an id that has the user's name in it, and leads nowhere any more. The name is looked for first: that is quicker. */
const isName = (id: string, user: string, pattern: string) =>
  `(strpos(${id}, ${user}) > 0 and ${id} ~ ${pattern} and not exists (select from sessions living where living.id = ${id}))`;

const FIND = statement(
  'messageErasure.find',
  `with page as materialized (
     select session_key, seq, user_id is not distinct from $3 as is_his, origin, created_at from messages
     where (session_key, seq) > ($1::bigint, $2::bigint) and session_key <= $7::bigint order by session_key, seq limit $5::int
   ), traces as materialized (
     select session_key, seq, is_his, created_at < $4::timestamptz as is_old from page
     where is_his or origin is not null and ${isName(`(origin ->> 'session_id')`, '$3', '$8')}
     order by session_key, seq limit $6::int
   )
   select (select json_build_array(session_key, seq) from page order by session_key desc, seq desc limit 1) as last,
     (select coalesce(json_agg(traces order by session_key, seq), '[]') from traces) as traces`,
);

/** SQL for what stands instead of such an id: the same for the same, in all that one erasure changes (see `Names`). */
const instead = (id: string, salt: string) => `md5(${salt} || ${id})::uuid::text`;

const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';

/** SQL for an id as it is if the server made it: what somebody chose may tell something. */
const unchosen = (id: string, salt: string) =>
  `case when ${id} ~ '${UUID}' then ${id} else ${instead(id, salt)} end`;

/** $3 the user, $4 the salt, $5 the pattern */
const originOf = (m: string, messageId: string) => `
  case when ${m}.origin is not null then json_build_object(
    'session_id', case when ${isName(`(${m}.origin ->> 'session_id')`, '$3', '$5')}
      then ${instead(`(${m}.origin ->> 'session_id')`, '$4')} else ${m}.origin ->> 'session_id' end,
    'message_id', ${messageId},
    'seq', ${m}.origin -> 'seq') end`;

const change = (name: string, which: string, sets: string): Statement =>
  statement(
    `messageErasure.${name}`,
    `with before as materialized (
       select seq, redacted_at is not null as was_redacted from messages m
       where session_key = $1 and seq = any($2::bigint[]) and ${which}
     )
     update messages m set ${sets}
     from before where m.session_key = $1 and m.seq = before.seq
     returning m.seq, m.message_id, before.was_redacted`,
  );

/** Of a call its id is left, so that the answer still finds it. */
const REDACT = change(
  'redact',
  'm.user_id = $3',
  `user_id = $6, content = null, name = null, metadata = '{}', request_digest = null, bytes = 0,
   redacted_at = coalesce(m.redacted_at, clock_timestamp()),
   message_id = ${unchosen('m.message_id', '$4')}, origin = ${originOf('m', unchosen(`(m.origin ->> 'message_id')`, '$4'))},
   tool_calls = (select json_agg(json_build_object('id', call -> 'id')) from json_array_elements(m.tool_calls) call)`,
);

const UNNAME = change(
  'unname',
  `m.origin is not null and ${isName(`(m.origin ->> 'session_id')`, '$3', '$5')}`,
  `origin = ${originOf('m', `m.origin ->> 'message_id'`)}`,
);

const WITHOUT = statement(
  'messageErasure.without',
  `select id from unnest($2::text[]) id where not exists (select from messages m where m.session_key = $1 and m.message_id = id.id)`,
);
