import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Rows of collaborators that tell of a user who is to be forgotten. */
@Injectable()
export class MemberErasureRepository {
  constructor(private readonly database: Database) {}

  /** Sessions that are shared with the user, behind a key. */
  async findShared(user: string, after: number, limit: number): Promise<number[]> {
    const rows = await this.database.query<{ session_key: number }>(FIND_SHARED, [user, after, limit]);
    return rows.map(({ session_key }) => session_key);
  }

  /** Whether he was a member of a session that is held, and since before that time; null: he was none. */
  async remove(session: number, user: string, since: string): Promise<{ is_old: boolean } | null> {
    const [row] = await this.database.query<{ is_old: boolean }>(REMOVE, [session, user, since]);
    return row ?? null;
  }

  /** Sessions with members whom he added, among the next `limit` members behind a place; `last`: how far was looked, null at the end. */
  async findAdded(user: string, after: [number, string], limit: number) {
    const [page] = await this.database.query<{ last: [number, string] | null; sessions: number[] }>(
      FIND_ADDED,
      [user, ...after, limit],
    );
    return page!;
  }

  /** Of a session that is held; answers how many. */
  async replaceAdder(session: number, user: string, token: string): Promise<number> {
    return (await this.database.query(REPLACE_ADDER, [session, user, token])).length;
  }
}

const FIND_SHARED = statement(
  'memberErasure.findShared',
  `select session_key from members where user_id = $1 and session_key > $2::bigint order by session_key limit $3::int`,
);

const REMOVE = statement(
  'memberErasure.remove',
  `delete from members where session_key = $1 and user_id = $2 returning added_at < $3::timestamptz as is_old`,
);

const FIND_ADDED = statement(
  'memberErasure.findAdded',
  `with page as materialized (
     select session_key, user_id, added_by from members where (session_key, user_id) > ($2::bigint, $3)
     order by session_key, user_id limit $4::int)
   select (select json_build_array(session_key, user_id) from page order by session_key desc, user_id desc limit 1) as last,
     array(select distinct session_key from page where added_by = $1 order by 1)::float8[] as sessions`,
);

const REPLACE_ADDER = statement(
  'memberErasure.replaceAdder',
  'update members set added_by = $3 where session_key = $1 and added_by = $2 returning 1',
);
