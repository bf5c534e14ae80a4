import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { isLive } from './memory.sql.js';

/** Copies memory into a space that has none yet, within a transaction that holds the source's owner. */
@Injectable()
export class MemoryCopiesRepository {
  constructor(private readonly database: Database) {}

  /** Entries as they are now, each a new one: without what it was before, but of whom it is from. */
  async copy(source: number, copy: number): Promise<void> {
    await this.database.query(COPY, [source, copy]);
  }

  /** How many entries the sessions have together, those with the same key once. */
  async countTogether(sessions: number[]): Promise<number> {
    return (await this.database.query<{ count: number }>(COUNT_TOGETHER, [sessions]))[0]!.count;
  }

  /** A key that two of the sessions have with different values; null: there is none. */
  async findConflict(sessions: number[]): Promise<string | null> {
    const [row] = await this.database.query<{ name: string }>(FIND_CONFLICT, [sessions]);
    return row?.name ?? null;
  }

  /**
   * Adds entries of a session to those of a copy, behind the one with this key and at most so many, as they are but
   * without what they were before; of two with the same key the later one stays. Answers the key of the last of them; null: there were none.
   */
  async add(source: number, copy: number, after: number, limit: number): Promise<number | null> {
    const [row] = await this.database.query<{ last: number | null }>(ADD, [source, copy, after, limit]);
    return row!.last;
  }

  /** How many entries a copy has got. */
  async settle(copy: number): Promise<number> {
    const [row] = await this.database.query<{ entries: number }>(SETTLE, [copy]);
    return row?.entries ?? 0;
  }
}

const COPY = statement(
  'memory.copy',
  `with copied as (
     insert into memory_entries (space_key, memory_id, name, created_by, memory_type, value, content, metadata, importance,
       bytes, expires_at, version, created_at, updated_at)
     select $2::bigint, gen_random_uuid(), e.name, e.created_by, e.memory_type, e.value, e.content, e.metadata, e.importance,
       e.bytes, e.expires_at, 1, now.at, now.at
     from memory_entries e cross join (select clock_timestamp() as at) now
     where e.space_key = $1 and ${isLive('e')}
     order by e.key
     returning 1
   )
   insert into memory_spaces (key, entries, last_version)
   select $2::bigint, count(*), 0 from copied having count(*) > 0`,
);

const COUNT_TOGETHER = statement(
  'memory.countTogether',
  `select (count(distinct e.name) + count(*) filter (where e.name is null))::int as count
   from memory_entries e where e.space_key = any($1::bigint[]) and ${isLive('e')}`,
);

const FIND_CONFLICT = statement(
  'memory.findConflict',
  `select e.name from memory_entries e
   where e.space_key = any($1::bigint[]) and e.name is not null and ${isLive('e')}
   group by e.name having count(distinct (e.value::jsonb, e.memory_type)) > 1
   order by e.name limit 1`,
);

const ADD = statement(
  'memory.add',
  `with page as materialized (
     select e.* from memory_entries e where e.space_key = $1 and e.key > $3::bigint order by e.key limit $4::int
   ), added as (
     insert into memory_entries (space_key, memory_id, name, created_by, memory_type, value, content, metadata, importance,
       bytes, expires_at, version, created_at, updated_at)
     select $2::bigint, gen_random_uuid(), e.name, e.created_by, e.memory_type, e.value, e.content, e.metadata, e.importance,
       e.bytes, e.expires_at, 1, e.created_at, e.updated_at
     from page e where ${isLive('e')} order by e.key
     on conflict (space_key, name) do update set
       created_by = excluded.created_by, memory_type = excluded.memory_type, value = excluded.value, content = excluded.content,
       metadata = excluded.metadata, importance = excluded.importance, bytes = excluded.bytes, expires_at = excluded.expires_at,
       created_at = excluded.created_at, updated_at = excluded.updated_at
     where memory_entries.updated_at < excluded.updated_at
   )
   select max(key) as last from page`,
);

const SETTLE = statement(
  'memory.settle',
  `insert into memory_spaces (key, entries, last_version)
   select $1::bigint, count(*), 0 from memory_entries where space_key = $1 having count(*) > 0
   on conflict (key) do update set entries = excluded.entries
   returning entries`,
);
