import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { isLive } from './memory.sql.js';

/** Copies memory into a space that has none yet, within a transaction that holds the source's owner. */
@Injectable()
export class MemoryCopiesRepository {
  constructor(private readonly database: Database) {}

  /** Entries as they are now, each a new one: without what it was before. */
  async copy(source: number, copy: number, createdBy: string | null): Promise<void> {
    await this.database.query(COPY, [source, copy, createdBy]);
  }
}

const COPY = statement(
  'memory.copy',
  `with copied as (
     insert into memory_entries (space_key, memory_id, name, created_by, memory_type, value, content, metadata, importance,
       bytes, expires_at, version, created_at, updated_at)
     select $2::bigint, gen_random_uuid(), e.name, $3, e.memory_type, e.value, e.content, e.metadata, e.importance,
       e.bytes, e.expires_at, 1, now.at, now.at
     from memory_entries e cross join (select clock_timestamp() as at) now
     where e.space_key = $1 and ${isLive('e')}
     order by e.key
     returning 1
   )
   insert into memory_spaces (key, entries, last_version)
   select $2::bigint, count(*), 0 from copied having count(*) > 0`,
);
