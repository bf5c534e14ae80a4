import { Injectable } from '@nestjs/common';
import { boundedPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { COLUMNS, HEADER, isLive, ofSession, ofUserBeside, READABLE } from './memory.sql.js';
import type { MemoryRow } from './memory.view.js';

/** What a context can hold of memory before it is counted. */
const [ENTRIES, BYTES] = [200, 1024 * 1024];

/** Entries of memory for rooms that have made sure that the caller may read them. */
@Injectable()
export class Facts {
  constructor(private readonly database: Database) {}

  /** By their own keys, wherever they are kept, as far as they are there. */
  byKeys(keys: number[]): Promise<MemoryRow[]> {
    return this.database.query(BY_KEYS, [keys]);
  }

  /** The most important of a session and of the caller himself (for a service, of the owner), session over user. */
  async mostImportant(session: string, user: string | null): Promise<MemoryRow[]> {
    const rows = await this.database.query<MemoryRow>(MOST_IMPORTANT, [session, user, ENTRIES, BYTES]);
    return rows.filter(({ memory_id }) => memory_id !== null);
  }
}

const BY_KEYS = statement(
  'memory.byKeys',
  `select ${COLUMNS}, case when u.key is null then 'session' else 'user' end as scope,
     coalesce(u.id, s.user_id) as user_id, s.id as session_id
   from memory_entries e left join users u on u.key = e.space_key left join sessions s on s.key = e.space_key
   where e.key = any($1::bigint[]) and ${isLive('e')}`,
);

const ORDER = 'importance desc, updated_at desc, key';
const MOST_IMPORTANT = statement(
  'memory.mostImportant',
  `${HEADER}
   select m.* from header left join lateral (${boundedPage(
     `select * from (${ofSession} union all ${ofUserBeside}) e order by ${ORDER} limit $3::int`,
     ORDER,
     '$4',
   )}) m on ${READABLE}`,
);
