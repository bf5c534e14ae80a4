import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import type { Seen } from '../access/verify.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import type { StoredSummary } from './summary.entity.js';
import type { Line, Written } from './summary.js';

/** A session, as far as its context needs to know it. */
export interface Header extends Seen {
  key: number;
  message_count: number;
  /** of the summary; null: there is none */
  to_seq: number | null;
  lines: Line[] | null;
  written: Written | null;
}

/** Summaries of sessions: derived, so they may be gone at any time. */
@Injectable()
export class SummariesRepository {
  constructor(private readonly database: Database) {}

  /** A session with its summary, without what has been redacted. */
  async find(id: string, user: string | null): Promise<Header | null> {
    const [row] = await this.database.query<Header>(FIND, [id, user]);
    return row ?? null;
  }

  /** Of these sessions, those that have a summary. */
  findAll(sessions: number[]): Promise<StoredSummary[]> {
    return this.database.query(FIND_ALL, [sessions]);
  }

  /** What a model has written, as long as it is good; null: the session is deleted. */
  async findOpen(session: number): Promise<{ written: Written | null } | null> {
    const [row] = await this.database.query<{ written: Written | null }>(FIND_OPEN, [session]);
    return row ?? null;
  }

  /** The sentences taken so far. */
  async linesOf(session: number): Promise<Line[]> {
    const [stored] = await this.findAll([session]);
    return stored?.lines ?? [];
  }

  /** Unless one of the messages it is from has been redacted meanwhile. */
  async saveWritten(session: number, written: Written): Promise<void> {
    await this.database.query(SAVE_WRITTEN, [session, JSON.stringify(written)]);
  }

  async save({ session_key, to_seq, lines }: Omit<StoredSummary, 'written'>): Promise<void> {
    await this.database.query(SAVE, [session_key, to_seq, JSON.stringify(lines)]);
  }

  /** Takes out what is from messages that are redacted, and what a model made of all of them. */
  async withdraw(session: number, seqs: number[]): Promise<void> {
    await this.database.query(WITHDRAW, [session, seqs]);
  }

  async clear(): Promise<void> {
    await this.database.query(CLEAR);
  }

  /** Removes that of a purged session; answers how many. */
  async purge(key: number): Promise<number> {
    return (await this.database.query(PURGE, [key])).length;
  }
}

/** SQL for: none of the messages that a model has read for it has been redacted since. */
const isGood = (y: string) => `
  (select count(*) from messages m where m.session_key = ${y}.session_key and m.redacted_at is not null
     and m.seq <= (${y}.written ->> 'to_seq')::bigint) = (${y}.written ->> 'redactions')::bigint`;

const FIND = statement(
  'summaries.find',
  `select s.key, s.message_count, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role, y.to_seq, (
     select json_agg(line order by n) from json_array_elements(y.lines) with ordinality l(line, n)
     where not exists (
       select from messages m
       where m.session_key = s.key and m.seq = (line ->> 'seq')::bigint and m.redacted_at is not null)) as lines,
     case when ${isGood('y')} then y.written end as written
   from sessions s left join summaries y on y.session_key = s.key
   where s.id = $1 and s.purged_at is null`,
);

const FIND_ALL = statement(
  'summaries.findAll',
  `select session_key, to_seq, lines, case when ${isGood('y')} then written end as written
   from summaries y where session_key = any($1::bigint[])`,
);

const FIND_OPEN = statement(
  'summaries.findOpen',
  `select case when ${isGood('y')} then y.written end as written
   from sessions s left join summaries y on y.session_key = s.key
   where s.key = $1 and s.purged_at is null and ${statusOf('s')} <> 'deleted'`,
);

const SAVE_WRITTEN = statement(
  'summaries.saveWritten',
  `insert into summaries as y (session_key, to_seq, lines, written)
   select new.session_key, 0, '[]', new.written from (select $1::bigint as session_key, $2::json as written) new
   where ${isGood('new')}
   on conflict (session_key) do update set written = excluded.written`,
);

const SAVE = statement(
  'summaries.save',
  `insert into summaries (session_key, to_seq, lines) values ($1, $2, $3)
   on conflict (session_key) do update set to_seq = excluded.to_seq, lines = excluded.lines`,
);

const WITHDRAW = statement(
  'summaries.withdraw',
  `update summaries set written = null, lines = coalesce((
     select json_agg(line order by n) from json_array_elements(lines) with ordinality l(line, n)
     where (line ->> 'seq')::bigint <> all($2::bigint[])), '[]')
   where session_key = $1`,
);

const CLEAR = statement('summaries.clear', 'delete from summaries');

const PURGE = statement('summaries.purge', 'delete from summaries where session_key = $1 returning 1');
