import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Rows of collaborators. */
@Injectable()
export class MembersRepository {
  constructor(private readonly database: Database) {}

  /** Removes at most `limit` rows of a purged session; answers how many. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, limit])).length;
  }
}

const PURGE = statement(
  'members.purge',
  `delete from members where session_key = $1 and user_id in
     (select user_id from members where session_key = $1 limit $2)
   returning 1`,
);
