import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Rows of collaborators. */
@Injectable()
export class MembersRepository {
  constructor(private readonly database: Database) {}

  /**
   * Gives a session those whom any of the others is shared with, but its owner. Who has several roles gets the least:
   * nobody may do more with a copy than he might with what it is of.
   */
  async unite(sources: number[], copy: number, owner: string | null): Promise<void> {
    await this.database.query(UNITE, [sources, copy, owner]);
  }

  /** With how many users any of these sessions is shared, but for one. */
  async countTogether(sessions: number[], owner: string | null): Promise<number> {
    return (await this.database.query<{ count: number }>(COUNT_TOGETHER, [sessions, owner]))[0]!.count;
  }

  /** Removes at most `limit` rows of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, limit])).length;
  }
}

const UNITE = statement(
  'members.unite',
  `insert into members (session_key, user_id, role, added_by, added_at)
   select distinct on (m.user_id) $2::bigint, m.user_id, m.role, m.added_by, clock_timestamp()
   from members m
   where m.session_key = any($1::bigint[]) and m.user_id is distinct from $3
   order by m.user_id, array_position(array['viewer', 'editor', 'manager'], m.role)`,
);

const COUNT_TOGETHER = statement(
  'members.countTogether',
  `select count(distinct user_id)::int as count from members
   where session_key = any($1::bigint[]) and user_id is distinct from $2`,
);

const PURGE = statement(
  'members.purge',
  `delete from members where session_key = $1 and user_id in
     (select user_id from members where session_key = $1 limit $2)
   returning 1`,
);
