import { Injectable } from '@nestjs/common';
import type { Json, JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { erasedOwner } from './erased-owner.sql.js';
import type { Job } from './job.entity.js';

/** A job that is the user's, or may name him or a session of his. */
export interface Naming
  extends Pick<Job, 'key' | 'session_ids' | 'input' | 'result' | 'cursor' | 'error_detail'> {
  /** he asked for it, or what it makes is his */
  is_his: boolean;
  /** it works on a session of his: what it was told may be out of that */
  is_on_his: boolean;
  is_over: boolean;
  /** older than what is erased */
  is_old: boolean;
}

/** What a job is left with. */
export type Unnamed = Pick<Naming, 'key' | 'session_ids'> & { input: JsonObject; result: Json; cursor: Json };

/** Rows of jobs that tell of a user who is to be forgotten. Another erasure is left alone: it sees to itself. */
@Injectable()
export class JobErasureRepository {
  constructor(private readonly database: Database) {}

  /** Among the next `limit` jobs behind a key; `last`: of these, null at the end. */
  async find(user: string, after: number, since: string, limit: number) {
    const quoted = JSON.stringify(user).slice(1, -1);
    const [page] = await this.database.query<{ last: number | null; jobs: Naming[] }>(FIND, [
      ...[user, after, since, limit, quoted],
    ]);
    return page!;
  }

  /** Within a transaction; answers how many were over, and are gone. */
  async remove(keys: number[]): Promise<number> {
    return (await this.database.query(REMOVE, [keys])).length;
  }

  /** What went wrong may quote what is erased: the code of it stays. Answers whether that changes anything. */
  async unname({ key, session_ids, input, result, cursor }: Unnamed): Promise<boolean> {
    const documents = [input, result, cursor].map((one) => (one === null ? null : JSON.stringify(one)));
    return (await this.database.query(UNNAME, [key, session_ids, ...documents])).length > 0;
  }

  /** Within the last fence of an erasure: its row names him no more. */
  async forgetOwner(jobId: string, user: string): Promise<void> {
    await this.database.query(FORGET_OWNER, [jobId, user]);
  }
}

const FIND = statement(
  'jobErasure.find',
  `with page as materialized (
     select j.*, j.user_id is not distinct from $1 or j.input ->> 'user_id' = $1 as is_his,
       exists (select from sessions s where s.id = any(j.session_ids) and s.user_id = $1 and not s.legal_hold) as is_on_his
     from jobs j where key > $2::bigint order by key limit $4::int
   ), naming as (
     select p.key, p.session_ids, p.input, p.result, p.cursor, p.error_detail, coalesce(p.is_his, false) as is_his, p.is_on_his,
       p.due_at is null as is_over, p.created_at < $3::timestamptz as is_old
     from page p
     where case when p.kind = 'erasure' then p.due_at is null and p.user_id = $1 else
       p.is_his
       or p.is_on_his
       or strpos(concat_ws(' ', array_to_string(p.session_ids, ' '), p.error_detail), $1) > 0
       or strpos(concat_ws(' ', p.input, p.result, p.cursor), $5) > 0 end
   )
   select (select max(key) from page) as last,
     (select coalesce(json_agg(naming order by key), '[]') from naming) as jobs`,
);

const REMOVE = statement(
  'jobErasure.remove',
  `with over as materialized (
     select key from jobs where key = any($1::bigint[]) and due_at is null order by key for update)
   delete from jobs j using over where j.key = over.key returning 1`,
);

const DETAIL = `case when error_code is not null then 'What it said was erased.' end`;
const UNNAME = statement(
  'jobErasure.unname',
  `update jobs set session_ids = $2::text[], input = $3::jsonb, result = $4::jsonb, cursor = $5::jsonb,
     error_detail = ${DETAIL}
   where key = $1 and due_at is null and (session_ids, input, result, cursor, error_detail)
     is distinct from ($2::text[], $3::jsonb, $4::jsonb, $5::jsonb, ${DETAIL})
   returning 1`,
);

const FORGET_OWNER = statement(
  'jobErasure.forgetOwner',
  `update jobs j set user_id = ${erasedOwner('j', '$2')}, input = '{}', dedup_key = null where job_id = $1`,
);
