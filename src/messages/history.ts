import { Injectable } from '@nestjs/common';
import { boundedPage, type Counted, pageBytes } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import type { FoundMessage, MessageRef, Outline } from './message.view.js';
import { COLUMNS } from './messages.repository.js';

/** Messages by the keys of their sessions, for rooms that have made sure that the caller may read them. */
@Injectable()
export class History {
  constructor(private readonly database: Database) {}

  /** Messages with so many before and after each, as far as they fit in a page; what was asked for itself goes first. */
  around(refs: MessageRef[], neighbours: number): Promise<FoundMessage[]> {
    const values = [refs.map(({ session }) => session), refs.map(({ seq }) => seq), neighbours];
    return this.database.query(AROUND, [...values, pageBytes(false)]);
  }

  /** Messages of a session by ascending seq, oldest first, as far as they fit in a page. */
  bySeq(session: number, seqs: number[]): Promise<(FoundMessage & Counted)[]> {
    const runs = runsOf(seqs);
    const values = [session, runs.map(({ from }) => from), runs.map(({ to }) => to)];
    return this.database.query(BY_SEQ, [...values, pageBytes(false)]);
  }

  /** The newest messages before a seq, newest first. */
  outline(session: number, before: number, limit: number): Promise<Outline[]> {
    return this.database.query(OUTLINE, [session, before, limit]);
  }

  /** Messages by their seq, with the answers to their calls up to `count`. */
  outlineCalls(session: number, seqs: number[], count: number): Promise<Outline[]> {
    return this.database.query(OUTLINE_CALLS, [session, seqs, count]);
  }

  /** What was said to hold for all of a session, at most so many, and what its user said first. */
  outlinePinned(session: number, count: number, limit: number): Promise<Outline[]> {
    return this.database.query(OUTLINE_PINNED, [session, count, limit]);
  }

  /** Stores what messages count in a window. */
  async storeCounts(session: number, counts: { seq: number; tokens: number }[]): Promise<void> {
    await this.database.query(STORE_COUNTS, [session, JSON.stringify(counts)]);
  }

  /** The models that messages name, by session, each in order of their names; at most a hundred of a session. */
  async models(sessions: number[]): Promise<Map<number, string[]>> {
    const rows = await this.database.query<{ key: number; models: string[] }>(MODELS, [sessions]);
    return new Map(rows.map(({ key, models }) => [key, models]));
  }
}

/** Those that follow one another as one: a run is read along the index, others are looked up one by one. */
function runsOf(seqs: number[]): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (const seq of seqs) {
    const last = runs.at(-1);
    if (last?.to === seq - 1) last.to = seq;
    else runs.push({ from: seq, to: seq });
  }
  return runs;
}

const AROUND = statement(
  'history.around',
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

const BY_SEQ = statement(
  'history.bySeq',
  boundedPage(
    `select m.session_key, ${COLUMNS}, m.bytes as size
     from unnest($2::bigint[], $3::bigint[]) run(from_seq, to_seq) cross join lateral (
       select * from messages m where m.session_key = $1 and m.seq between run.from_seq and run.to_seq
       order by m.seq limit run.to_seq - run.from_seq + 1) m`,
    'seq',
    '$4',
  ),
);

const OUTLINED = `
  m.seq, m.role, m.bytes, m.token_count, m.redacted_at is not null as is_redacted, m.tool_call_seq, m.tool_call_id,
  coalesce((select json_agg(call ->> 'id') from json_array_elements(m.tool_calls) call), '[]') as calls`;

const OUTLINE = statement(
  'history.outline',
  `select ${OUTLINED} from messages m
   where m.session_key = $1 and m.seq < $2::bigint order by m.seq desc limit $3::int`,
);

const OUTLINE_CALLS = statement(
  'history.outlineCalls',
  `select ${OUTLINED} from messages m
   where m.session_key = $1 and m.seq <= $3::bigint and m.seq = any($2::bigint[])
   union all
   select ${OUTLINED} from messages m
   where m.session_key = $1 and m.seq <= $3::bigint and m.tool_call_seq = any($2::bigint[])`,
);

const OUTLINE_PINNED = statement(
  'history.outlinePinned',
  `(select ${OUTLINED} from messages m
    where m.session_key = $1 and m.seq <= $2::bigint and m.role in ('system', 'developer')
    order by m.seq limit $3::int)
   union all
   (select ${OUTLINED} from messages m
    where m.session_key = $1 and m.seq <= $2::bigint and m.role = 'user' order by m.seq limit 1)`,
);

const STORE_COUNTS = statement(
  'history.storeCounts',
  `update messages m set token_count = c.tokens
   from json_to_recordset($2::json) as c(seq bigint, tokens int)
   where m.session_key = $1 and m.seq = c.seq and m.token_count is null and m.redacted_at is null`,
);

const MODELS = statement(
  'history.models',
  `select m.session_key as key, (array_agg(distinct m.model order by m.model))[1:100] as models from messages m
   where m.session_key = any($1::bigint[]) and m.model is not null
   group by m.session_key`,
);
