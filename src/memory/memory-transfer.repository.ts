import { Injectable } from '@nestjs/common';
import { invalid } from '../common/errors.js';
import { boundedPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { violates } from '../database/failures.js';
import { statement } from '../database/statement.js';
import type { MemoryEntry, MemoryVersion } from './memory.entity.js';
import { isLive } from './memory.sql.js';
import type { EntryRecord, VersionRecord } from './memory-record.js';

/** What a record comes to beside what it says. */
interface Derived {
  content: string;
  bytes: number;
}
export type NewEntry = EntryRecord & Derived;
export type NewVersion = VersionRecord & Derived;

/** Bytes of entries with their histories, and entries, in a page. */
const [BYTES, ROWS] = [2 * 1024 * 1024, 200];

/** Reads memory whole, and writes it into spaces of sessions that nobody sees yet. */
@Injectable()
export class MemoryTransferRepository {
  constructor(private readonly database: Database) {}

  /** How many entries and earlier versions there are, and the key of the last entry. */
  async outline(space: number): Promise<{ count: number; last: number }> {
    return (await this.database.query<{ count: number; last: number }>(OUTLINE, [space]))[0]!;
  }

  /** The next entries up to a key, in the order of their keys: what is saved anew meanwhile is behind it. */
  findPage(space: number, afterKey: number, upToKey: number): Promise<MemoryEntry[]> {
    return this.database.query(PAGE, [space, afterKey, ROWS, BYTES, upToKey]);
  }

  /** What entries were before the versions that were read, by entry, oldest first. */
  findVersions(entries: MemoryEntry[]): Promise<MemoryVersion[]> {
    return this.database.query(VERSIONS, [
      entries.map(({ key }) => key),
      entries.map(({ version }) => version),
    ]);
  }

  /**
   * Adds entries, and versions of these or of earlier ones, within a transaction that holds the session.
   * @throws DomainError kind `invalid` for a key or an id that is there
   */
  async insert(space: number, entries: NewEntry[], versions: NewVersion[]): Promise<void> {
    if (entries.length > 0) await this.database.query(INSERT, [space, JSON.stringify(entries)]).catch(refuse);
    if (versions.length > 0) await this.database.query(INSERT_VERSIONS, [space, JSON.stringify(versions)]);
  }
}

function refuse(error: unknown): never {
  if (violates(error, 'memory_entries_name'))
    throw invalid([{ pointer: 'key', detail: 'an entry of memory is there twice' }]);
  if (violates(error, 'memory_entries_id'))
    throw invalid([{ pointer: 'memory_id', detail: 'is there twice' }]);
  throw error;
}

const OUTLINE = statement(
  'memoryTransfer.outline',
  `select (count(*) + coalesce(sum(
     (select count(*) from memory_versions v where v.entry_key = e.key)), 0))::int as count, coalesce(max(e.key), 0) as last
   from memory_entries e where e.space_key = $1 and ${isLive('e')}`,
);

const PAGE = statement(
  'memoryTransfer.page',
  boundedPage(
    `select e.*, e.bytes + coalesce((select sum(v.bytes) from memory_versions v where v.entry_key = e.key), 0) as size
     from memory_entries e where e.space_key = $1 and e.key > $2::bigint and e.key <= $5::bigint and ${isLive('e')}
     order by e.key limit $3::int`,
    'key',
    '$4',
  ),
);

const VERSIONS = statement(
  'memoryTransfer.versions',
  `select v.* from unnest($1::bigint[], $2::bigint[]) as e(key, version)
     join memory_versions v on v.entry_key = e.key and v.version < e.version
   order by v.entry_key, v.version`,
);

/** The ids of entries are bare in their rows. */
const ID = `substr(r.memory_id, 5)::uuid`;
/** A value may be JSON’s null, which the columns of a record take for none. */
const VALUE = `coalesce(r.value, 'null')`;
const SAID = `version bigint, memory_type text, value json, content text, metadata json, importance double precision,
  bytes int, expires_at timestamptz(3), updated_at timestamptz(3)`;

const INSERT = statement(
  'memoryTransfer.insert',
  `with given as (
     select * from rows from (json_to_recordset($2::json) as (
       memory_id text, key text, created_by text, created_at timestamptz(3), ${SAID})) with ordinality
   ), space as (
     insert into memory_spaces (key, entries, last_version) select $1::bigint, count(*), 0 from given
     on conflict (key) do update set entries = memory_spaces.entries + excluded.entries
   )
   insert into memory_entries (space_key, memory_id, name, created_by, memory_type, value, content, metadata, importance,
     bytes, expires_at, version, created_at, updated_at)
   select $1::bigint, ${ID}, r.key, r.created_by, r.memory_type, ${VALUE}, r.content, r.metadata, r.importance, r.bytes,
     r.expires_at, r.version, r.created_at, r.updated_at
   from given r order by r.ordinality`,
);

const INSERT_VERSIONS = statement(
  'memoryTransfer.insertVersions',
  `insert into memory_versions (entry_key, version, memory_type, value, content, metadata, importance, bytes, expires_at, updated_at)
   select e.key, r.version, r.memory_type, ${VALUE}, r.content, r.metadata, r.importance, r.bytes, r.expires_at, r.updated_at
   from json_to_recordset($2::json) as r(memory_id text, ${SAID})
     join memory_entries e on e.space_key = $1 and e.memory_id = ${ID}`,
);
