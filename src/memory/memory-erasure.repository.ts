import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { removing } from './memory-writes.repository.js';

/** An entry that a user made. */
export interface MadeEntry {
  key: number;
  space_key: number;
  memory_id: string;
  /** older than what is erased */
  is_old: boolean;
}

/** Entries of one user wherever they are. Found by walking all there are. */
@Injectable()
export class MemoryErasureRepository {
  constructor(private readonly database: Database) {}

  /** At most `most` entries among the next `limit` behind a key, not those of the user's own memory; `last`: how far was looked, null at the end. */
  async find(user: string, after: number, since: string, limit: number, most: number) {
    const [page] = await this.database.query<{ last: number | null; entries: MadeEntry[] }>(FIND, [
      ...[user, after, since, limit, most],
    ]);
    return page!;
  }

  /** Those of a space that is held, by their keys, with what they were before; answers the keys of those that were there. */
  async remove(space: number, keys: number[], user: string): Promise<number[]> {
    const rows = await this.database.query<{ key: number }>(REMOVE, [space, keys, user]);
    return rows.map(({ key }) => key);
  }
}

const FIND = statement(
  'memoryErasure.find',
  `with page as materialized (
     select key, space_key, memory_id, created_by, created_at from memory_entries where key > $2::bigint order by key limit $4::int
   ), made as materialized (
     select key, space_key, memory_id, created_at < $3::timestamptz as is_old from page
     where created_by = $1 and not exists (select from users u where u.key = page.space_key)
     order by key limit $5::int
   )
   select (select max(key) from page) as last,
     (select coalesce(json_agg(made order by key), '[]') from made) as entries`,
);

const REMOVE = statement(
  'memoryErasure.remove',
  removing(
    'select key from memory_entries where space_key = $1 and key = any($2::bigint[]) and created_by = $3',
    'key',
  ),
);
